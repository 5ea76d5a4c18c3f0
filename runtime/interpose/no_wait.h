/*
 * Code of C libraries inside which a task may not wait, as others of its thread could need what it
 * holds: pthread_once, static initialisers of C++, callbacks of stdio. Which of it is under way on
 * which stack. A Lua error leaves it by longjmp, unseen: that is found out by the stack, which is
 * then shorter, and by protected calls, which tell.
 */
#ifndef ML_INTERPOSE_NO_WAIT_H
#define ML_INTERPOSE_NO_WAIT_H

#include "interpose/libc_call.h"

/* key: what it is inside of, for ml_inside_leave(); frame: an address in the frame of whoever calls
 * it. Where there are too many the oldest is forgotten: those of tasks that have ended stay until
 * then. */
static inline void ml_inside_enter(struct ml_foreign *f, const void *key, const void *frame)
{
    if (f->inside_count == ML_INSIDE_MOST) {
        f->inside_count--;
        memmove(f->inside, f->inside + 1, f->inside_count * sizeof *f->inside);
    }
    f->inside[f->inside_count++] =
        (struct ml_inside){f->hub->current->strand, f->hub->current->id, key, frame};
}

static inline void ml_inside_forget(struct ml_foreign *f, unsigned index)
{
    f->inside_count--;
    memmove(f->inside + index, f->inside + index + 1,
            (f->inside_count - index) * sizeof *f->inside);
}

static inline void ml_inside_leave(struct ml_foreign *f, const void *key)
{
    unsigned i = f->inside_count;
    while (i > 0 &&
           (f->inside[i - 1].key != key || f->inside[i - 1].strand != f->hub->current->strand))
        i--;
    if (i > 0)
        ml_inside_forget(f, i - 1);
}

/* Whether the running task is inside any; frame: of the call that asks. */
bool ml_is_inside(struct ml_foreign *f, const void *frame);

/* A protected call on the running stack, of which `frame` is an address in its own frame, has
 * caught an error. */
void ml_inside_unwind(struct ml_foreign *f, const void *frame);

#endif
