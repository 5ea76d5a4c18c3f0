/*
 * Shared parts of the stdio calls. libc's stdio reads and writes inside itself, unseen. So before
 * it would, the task waits until they do not block, and the room itself writes out the buffers.
 */
#ifndef ML_INTERPOSE_STDIO_FILE_H
#define ML_INTERPOSE_STDIO_FILE_H

#include "interpose/state.h"

/* The descriptor of a file whose writes may block: a pipe, a terminal, a socket, a file on a disk
 * that asks a server. -1: anything else. may_call: the call may write to the descriptor, so the
 * remembered kind must be true. */
int ml_stdio_slow_fd(struct ml_libc_calls *calls, FILE *file, bool may_call);

/* The same for reads: those of all disks may block. -1 also if `may_call` is false and it is a file
 * on a disk, whose calls then take bytes out of the buffer. */
int ml_stdio_input_fd(struct ml_libc_calls *calls, FILE *file, bool may_call);

/* Keeps the file for this task until ml_stdio_leave(). */
void ml_stdio_enter(struct ml_libc_calls *calls, FILE *file);
void ml_stdio_leave(struct ml_libc_calls *calls, FILE *file);

/* The key, as a lock, for tasks that wait for the file's lock. */
static inline const void *ml_stdio_queue(FILE *file)
{
    return (const char *)file + 1;
}

/* For a task that closes the file: turns waiting tasks away, and gives the file to this task alone
 * until its next wait. False: another task is still in it, and this one may not wait for that. */
bool ml_stdio_turn_away(struct ml_libc_calls *calls, FILE *file);

/* fclose() that knows of tasks. 0 or a negated errno. If another task still uses the file and this
 * one may not wait, the file is freed later. */
int ml_stdio_close(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file);

/* Frees files that were closed while another task used them, once that task has left them; all of
 * them when no task is alive any more. */
void ml_stdio_sweep(struct ml_libc_calls *calls);
void ml_stdio_release(struct ml_libc_calls *calls);

#endif
