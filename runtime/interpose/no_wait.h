/*
 * Code of C libraries inside which a task may not wait, as other tasks of its thread could need
 * what the code holds: pthread_once, static initialisers of C++, callbacks of stdio. The module
 * knows which of them is under way on which stack. A Lua error leaves such code by longjmp, unseen:
 * the module finds out when the stack is shorter, and from protected calls, which report it.
 */
#ifndef ML_INTERPOSE_NO_WAIT_H
#define ML_INTERPOSE_NO_WAIT_H

#include "interpose/state.h"

#include <string.h>

/* key: the code, for ml_no_wait_leave(); frame: an address in the frame of its caller. If the table
 * is full, the oldest entry is forgotten: entries of ended tasks stay until then. */
static inline void ml_no_wait_enter(struct ml_libc_calls *calls, const void *key, const void *frame)
{
    if (calls->no_wait.count == ML_NO_WAIT_MOST) {
        calls->no_wait.count--;
        memmove(calls->no_wait.items, calls->no_wait.items + 1,
                calls->no_wait.count * sizeof *calls->no_wait.items);
    }
    calls->no_wait.items[calls->no_wait.count++] =
        (struct ml_no_wait){calls->hub->current->strand, calls->hub->current->id, key, frame};
}

static inline void ml_no_wait_forget(struct ml_libc_calls *calls, unsigned index)
{
    calls->no_wait.count--;
    memmove(calls->no_wait.items + index, calls->no_wait.items + index + 1,
            (calls->no_wait.count - index) * sizeof *calls->no_wait.items);
}

static inline void ml_no_wait_leave(struct ml_libc_calls *calls, const void *key)
{
    unsigned i = calls->no_wait.count;
    while (i > 0 && (calls->no_wait.items[i - 1].key != key ||
                     calls->no_wait.items[i - 1].strand != calls->hub->current->strand))
        i--;
    if (i > 0)
        ml_no_wait_forget(calls, i - 1);
}

/* Whether the running task is inside such code. frame: of the call that asks. */
bool ml_no_wait_is_inside(struct ml_libc_calls *calls, const void *frame);

/* A protected call on the running stack has caught an error; `frame` is an address in its frame. */
void ml_no_wait_unwind(struct ml_libc_calls *calls, const void *frame);

#endif
