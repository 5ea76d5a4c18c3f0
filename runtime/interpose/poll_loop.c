#include "interpose/poll_loop.h"

#include "hub/state/scope.h"
#include "interpose/caller.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"

#include <errno.h>

static const struct ml_wait_kind poll_kind = {.text = "descriptors, in a C library",
                                              .external = true};

/* The longest wait when the hub's loop cannot watch for the event (urgent data), when the loop says
 * ready and the kernel does not, and when the call has a signal mask. */
#define LOOK_AGAIN (20 * ML_MILLISECOND)

static ml_time deadline_of(const struct ml_libc_calls *calls, ml_time span)
{
    return ml_time_after(ml_hub_now(calls->hub), span);
}

/* One wait. 0: ask again; or an error of ml_poll_set_wait(). *closed: the descriptor that was
 * closed, or -1. */
static int wait_once(struct ml_libc_calls *calls, const struct ml_question *q,
                     bool with_descriptors, ml_time deadline, int *closed)
{
    struct ml_poll_set *set = ml_poll_set_open(calls->hub, q->count);
    if (set == NULL)
        return -ENOMEM;
    if (with_descriptors)
        q->add(set, q->call);
    int error = ml_poll_set_wait(set, &poll_kind, deadline);
    *closed = ml_poll_set_closed(set);
    ml_poll_set_close(set);
    return error;
}

/*
 * Whether the caller is a loop that cannot handle a cancellation: libuv and libev end the program
 * when epoll_wait() fails, GLib warns and polls again for ever. For them it is delivered when their
 * function returns. (A module may bring its own copy of libuv.)
 */
static bool is_deaf(struct ml_libc_call entry)
{
    static const char *const patterns[] = {"libuv.so*", "luv.so*", "libev.so*", "libglib-2.0.so*"};
    bool is = false;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && !is; i++)
        is = ml_caller_matches(entry, patterns[i]);
    return is;
}

/* If the program ends and the loop does not: leaves the loop's frames, and does not return.
 * Otherwise returns. */
static void leave_for_good(struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    bool is_ending = calls->owner.is_ending != NULL && calls->owner.is_ending(calls->hub);
    if (ml_unlikely(is_ending && (is_deaf(entry) || ml_libc_call_is_stubborn(calls))))
        calls->owner.leave_c(calls->hub);
}

/* Opens a scope that holds a cancellation off until the loop's function returns. NULL: not
 * needed. */
static struct ml_scope *hold_off(struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    return is_deaf(entry) ? ml_scope_open(calls->hub, ML_SCOPE_SHIELD, ML_FOREVER) : NULL;
}

/* The waits of one call. */
struct asking {
    struct ml_libc_call entry;
    bool was_woken_in_vain;
    bool is_urgent;
    bool is_held_off; /* a cancellation is held off; waits are short then, as the program may end
                         meanwhile */
    int closed;       /* the descriptor that was closed, or -1 */
};

/* One wait, with a cancellation held off where needed. 0: ask again; or an error that ends the
 * waits. */
static int wait_in_turn(struct ml_libc_calls *calls, const struct ml_question *q, struct asking *a,
                        ml_time deadline)
{
    bool is_short = a->was_woken_in_vain || q->is_masked || a->is_urgent || a->is_held_off;
    ml_time until = is_short ? ml_time_earlier(deadline, deadline_of(calls, LOOK_AGAIN)) : deadline;
    bool with_descriptors = !a->was_woken_in_vain && !(a->is_urgent && q->is_loop);
    struct ml_scope *shield = a->is_held_off ? hold_off(calls, a->entry) : NULL;
    int error = wait_once(calls, q, with_descriptors, until, &a->closed);
    if (shield != NULL)
        ml_scope_close(calls->hub, shield);
    a->was_woken_in_vain = error == 0;
    bool is_again = error == -ETIMEDOUT && until < deadline;
    if (error == -ECANCELED && is_deaf(a->entry) && shield == NULL && !a->is_held_off)
        a->is_held_off = is_again = true;
    if (is_again)
        error = 0;
    return error;
}

/* Waits until the question has an answer. Returns that; 0: the time is over; -1 with errno set. */
static int wait_for_answer(struct ml_libc_calls *calls, struct ml_libc_call entry,
                           const struct ml_question *q, ml_time deadline)
{
    int answer = 0, error = ml_libc_call_begin(calls, entry);
    struct asking a = {.entry = entry, .closed = -1};
    a.is_urgent = q->is_urgent != NULL && q->is_urgent(q->call);
    if (error == ML_PLAINLY)
        return q->ask_plainly(q->call);
    while (answer == 0 && error == 0) {
        error = wait_in_turn(calls, q, &a, deadline);
        if (a.is_held_off && calls->owner.is_ending != NULL && calls->owner.is_ending(calls->hub))
            error = -ECANCELED;
        if (error == 0 || error == -ETIMEDOUT)
            answer = q->ask(q->call);
    }
    ml_libc_call_end(calls, a.is_held_off ? -ECANCELED : error);
    if (error == -ECANCELED)
        leave_for_good(calls, entry);
    if (error == -EBADF)
        return q->closed(q->call, a.closed);
    return error == 0 || error == -ETIMEDOUT ? answer : ml_fail(error);
}

int ml_question_answer(struct ml_libc_calls *calls, const struct ml_question *q, ml_time span)
{
    struct ml_libc_call entry = calls->entry;
    int error = span > 0 ? ml_libc_call_share(calls) : 0;
    leave_for_good(calls, entry);
    if (error != 0 && !is_deaf(entry))
        return ml_fail(error);
    if (span <= 0)
        ml_libc_call_share_later(calls);
    int now = q->is_known_empty ? 0 : q->ask(q->call);
    return now != 0 || span <= 0 ? now : wait_for_answer(calls, entry, q, deadline_of(calls, span));
}

int ml_question_is_bad(void *call, int fd)
{
    (void)call, (void)fd;
    return ml_fail(-EBADF);
}
