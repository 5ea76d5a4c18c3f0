/*
 * What the calls of stdio share. libc's stdio calls read and write inside itself, unseen; so before
 * it would, the task waits until they do not block, and what is written goes out by ourselves.
 */
#ifndef ML_INTERPOSE_STDIO_FILE_H
#define ML_INTERPOSE_STDIO_FILE_H

#include "interpose/state.h"

/* The descriptor of a file whose reads and writes may block: a pipe, a terminal, a socket; -1:
 * anything else. may_call: the call that is made may read or write the descriptor, so that what is
 * remembered of it has to be true. */
int ml_stdio_slow_fd(struct ml_libc_calls *calls, FILE *file, bool may_call);

/* No other task uses the file until ml_stdio_leave(). */
void ml_stdio_enter(struct ml_libc_calls *calls, FILE *file);
void ml_stdio_leave(struct ml_libc_calls *calls, FILE *file);

/* What tasks that wait for the file's lock hold, as a lock. */
static inline const void *ml_stdio_queue(FILE *file)
{
    return (const char *)file + 1;
}

/* For who closes the file: those who wait in it are turned away, and it is this task's alone until
 * the next wait. False: another one is in it still, and this one may not wait for that. */
bool ml_stdio_turn_away(struct ml_libc_calls *calls, FILE *file);

/* fclose() that knows of tasks: 0 or a negated errno. A file that another task still uses, where
 * this one may not wait, is freed later. */
int ml_stdio_close(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file);

/* Frees files that were closed while another task used them, as far as that one has left them; all,
 * when no task is alive any more. */
void ml_stdio_sweep(struct ml_libc_calls *calls);
void ml_stdio_release(struct ml_libc_calls *calls);

#endif
