/* epoll_wait and its variants. */
#include "interpose/poll_loop.h"
#include "interpose/result.h"
#include "interpose/timespan.h"

#include <errno.h>
#include <limits.h>

struct epoll_call {
    int fd;
    struct epoll_event *events;
    int room;
    const struct timespec *timeout;
    const sigset_t *mask;
};

static int ask_epoll(void *call)
{
    struct epoll_call *c = call;
    return ml_libc.epoll_pwait(c->fd, c->events, c->room, 0, c->mask);
}

/* Rounded up. NULL: no limit. */
static int milliseconds_of(const struct timespec *span)
{
    if (span == NULL)
        return -1;
    ml_time limit = ml_timespan(span);
    ml_time whole = limit / ML_MILLISECOND + (limit % ML_MILLISECOND > 0);
    return whole < INT_MAX ? (int)whole : INT_MAX;
}

static int ask_epoll_plainly(void *call)
{
    struct epoll_call *c = call;
    return ml_libc.epoll_pwait(c->fd, c->events, c->room, milliseconds_of(c->timeout), c->mask);
}

/* The kernel allows for chains of five epoll descriptors that watch each other. The hub's loop
 * would make the chain too long, and libev ends the program when epoll_ctl() is refused. Such a
 * descriptor is polled with pauses instead. */
static bool is_too_deep(void *call)
{
    struct epoll_event event = {.events = EPOLLIN};
    int saved = errno, above = epoll_create1(EPOLL_CLOEXEC);
    bool is =
        above >= 0 && epoll_ctl(above, EPOLL_CTL_ADD, ((struct epoll_call *)call)->fd, &event) != 0;
    if (above >= 0)
        ml_libc.close(above);
    errno = saved;
    return is;
}

/* An epoll descriptor is itself readable when an event is ready in it. */
static void add_epoll(struct ml_poll_set *set, void *call)
{
    ml_poll_set_add(set, ((struct epoll_call *)call)->fd, true, false);
}

int ml_co_epoll_pwait2(struct ml_libc_calls *calls, int fd, struct epoll_event *events, int room,
                       const struct timespec *timeout, const sigset_t *mask)
{
    struct epoll_call call = {fd, events, room, timeout, mask};
    struct ml_question question = {.ask = ask_epoll,
                                   .ask_plainly = ask_epoll_plainly,
                                   .add = add_epoll,
                                   .closed = ml_question_is_bad,
                                   .is_urgent = is_too_deep,
                                   .call = &call,
                                   .count = 1,
                                   .is_masked = mask != NULL,
                                   .is_loop = true};
    if (timeout != NULL && !ml_is_timespan(timeout))
        return ml_fail(-EINVAL);
    return ml_question_answer(calls, &question, ml_timespan(timeout));
}

int ml_co_epoll_pwait(struct ml_libc_calls *calls, int fd, struct epoll_event *events, int room,
                      int timeout, const sigset_t *mask)
{
    struct timespec span = {timeout / 1000, timeout % 1000 * 1000000L};
    return ml_co_epoll_pwait2(calls, fd, events, room, timeout < 0 ? NULL : &span, mask);
}

int ml_co_epoll_wait(struct ml_libc_calls *calls, int fd, struct epoll_event *events, int room,
                     int timeout)
{
    return ml_co_epoll_pwait(calls, fd, events, room, timeout, NULL);
}
