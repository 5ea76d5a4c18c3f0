/*
 * Answers that libc keeps in its own buffers until the next call. Each task gets its own, as
 * otherwise one task would read another's answer after a wait.
 */
#ifndef ML_INTERPOSE_TASK_BUFFERS_H
#define ML_INTERPOSE_TASK_BUFFERS_H

#include "interpose/state.h"

struct ml_task_buffers {
    uint64_t task; /* number of the task that owns it */
    struct tm tm;
    char time_text[128]; /* glibc's own has 114 */
    char error_text[64];
    char address_text[INET_ADDRSTRLEN];
    struct hostent host;
    char *host_buffer; /* malloc'd; what `host` points into */
};

/* The buffers of the running task. NULL: no memory. */
struct ml_task_buffers *ml_task_buffers_of(struct ml_libc_calls *calls);

/* Frees the buffers of all tasks. */
void ml_task_buffers_release(struct ml_libc_calls *calls);

#endif
