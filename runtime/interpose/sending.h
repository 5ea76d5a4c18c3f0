/* Writes that C libraries make in tasks. */
#ifndef ML_INTERPOSE_SENDING_H
#define ML_INTERPOSE_SENDING_H

#include "interpose/state.h"

/* As write() in a task. If the reader has gone: EPIPE, and no signal. */
ssize_t ml_write_quietly(struct ml_libc_calls *calls, int fd, const void *data, size_t size);

#endif
