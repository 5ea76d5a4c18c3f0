/*
 * Answers that libc keeps in buffers of its own until the next call: each task gets its own, or one
 * task would read another's after it has waited.
 */
#ifndef ML_INTERPOSE_TASK_BUFFERS_H
#define ML_INTERPOSE_TASK_BUFFERS_H

#include "interpose/state.h"

struct ml_task_buffers {
    uint64_t task; /* number of the task whose it is */
    struct tm tm;
    char time_text[128]; /* glibc's own has 114 */
    char error_text[64];
    char address_text[INET_ADDRSTRLEN];
    struct hostent host;
    char *host_buffer; /* malloc'd; what `host` points into */
};

/* Those of the running task; NULL: no memory. */
struct ml_task_buffers *ml_task_buffers_of(struct ml_libc_calls *calls);

/* Frees all of them. */
void ml_task_buffers_release(struct ml_libc_calls *calls);

#endif
