/*
 * A call that a C library makes in a task: decides whether the task may wait in it instead of the
 * thread, and when others run. Knows no single call, and not what a task waits for.
 */
#ifndef ML_INTERPOSE_LIBC_CALL_H
#define ML_INTERPOSE_LIBC_CALL_H

#include "hub/wait/slice.h"
#include "interpose/state.h"

/* The reasons why a call blocks the thread, as libc's own does. */
enum ml_plain_reason {
    ML_PLAIN_NONE,
    ML_PLAIN_EXCLUDED, /* ml_caller_exclude() */
    ML_PLAIN_NO_WAIT,  /* made inside code that others could need (interpose/no_wait.h) */
    ML_PLAIN_OWNER,    /* the owner forbids it: a finalizer, task.no_switch, ... */
    ML_PLAIN_STACK     /* made on a stack that is not the task's: of a library's fibers, or of a
                          signal's handler */
};

/* The result, besides 0 and negated errnos, of functions that wait: the caller must make the call
 * as libc makes it. */
enum { ML_PLAINLY = 1 };

/*
 * Decides whether the running task may wait in the call that came in as `entry`.
 *
 * - 0: it may; ml_libc_call_end() must follow;
 * - ML_PLAINLY: it may not.
 */
int ml_libc_call_begin(struct ml_libc_calls *calls, struct ml_libc_call entry);
void ml_libc_call_end(struct ml_libc_calls *calls, int error);

/* Whether the library ignores the cancellation: too many calls in a row have failed because the
 * running task is cancelled, and the C function has not returned. */
bool ml_libc_call_is_stubborn(const struct ml_libc_calls *calls);

/* The C function that made the calls has returned: the next call that fails counts as the first. */
static inline void ml_libc_call_forget_refusals(struct ml_libc_calls *calls)
{
    calls->tally.refused.task = 0;
}

/* ---- slices ---- */

/* Cost of a call, for the task's slice (hub/wait/slice.h). Less than a stream's, as the end of a
 * slice costs more here (two system calls, 1.6 us in all). */
enum { ML_LIBC_CALL_COST = 1 };

/* The slice is over: lets others run, then the call calls->entry goes on. 0 or -ECANCELED. */
int ml_libc_call_end_slice(struct ml_libc_calls *calls);

/* The slice is over: lets others run once the C function that made the call has returned. */
void ml_libc_call_end_slice_later(struct ml_libc_calls *calls);

/* For calls that may wait, but need not each time: lets others run if the slice is over. 0 or
 * -ECANCELED. */
static inline int ml_libc_call_share(struct ml_libc_calls *calls)
{
    ml_slice_spend(calls->hub, ML_LIBC_CALL_COST);
    return ml_slice_is_over(calls->hub) ? ml_libc_call_end_slice(calls) : 0;
}

/* For calls that never wait: lets others run later, as a library does not expect that before its
 * function has returned. */
static inline void ml_libc_call_share_later(struct ml_libc_calls *calls)
{
    ml_slice_spend(calls->hub, ML_LIBC_CALL_COST);
    if (ml_slice_is_over(calls->hub))
        ml_libc_call_end_slice_later(calls);
}

/* For calls on `fd`: its O_NONBLOCK flag decides between the two above. 0 or -ECANCELED. */
int ml_libc_call_share_on(struct ml_libc_calls *calls, int fd);

/* Whether the caller asked for a call that never waits: `flags` has a bit of `never`. If so, counts
 * the call for the slice. */
static inline bool ml_libc_call_never_waits(struct ml_libc_calls *calls, int flags, int never)
{
    bool is = (flags & never) != 0;
    if (is)
        ml_libc_call_share_later(calls);
    return is;
}

#endif
