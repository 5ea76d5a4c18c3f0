/* poll and ppoll. */
#include "interpose/libc_call.h"
#include "interpose/poll_loop.h"
#include "interpose/result.h"
#include "interpose/retry.h"
#include "interpose/timespan.h"

#include <errno.h>
#include <poll.h>

#define WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND)

static const struct timespec no_time = {0};

struct poll_call {
    struct pollfd *fds;
    nfds_t count;
    const struct timespec *timeout;
    const sigset_t *mask;
};

static int ask_poll(void *call)
{
    struct poll_call *c = call;
    return c->mask == NULL ? ml_libc.poll(c->fds, c->count, 0)
                           : ml_libc.ppoll(c->fds, c->count, &no_time, c->mask);
}

static int ask_poll_plainly(void *call)
{
    struct poll_call *c = call;
    return ml_libc.ppoll(c->fds, c->count, c->timeout, c->mask);
}

static void add_poll(struct ml_poll_set *set, void *call)
{
    const struct poll_call *c = call;
    for (nfds_t i = 0; i < c->count; i++)
        ml_poll_set_add(set, c->fds[i].fd,
                        (c->fds[i].events & ~WRITABLE) != 0 || (c->fds[i].events & WRITABLE) == 0,
                        (c->fds[i].events & WRITABLE) != 0);
}

/*
 * The result when a descriptor was closed during the wait: as if it had been bad from the start.
 * But if it is the only one, the call fails: most callers take POLLNVAL for ready and use an object
 * that was closed together with its descriptor (LuaSec crashed).
 */
static int poll_closed(void *call, int fd)
{
    struct poll_call *c = call;
    int bad = 0;
    if (c->count == 1)
        return ml_fail(-EBADF);
    for (nfds_t i = 0; i < c->count; i++) {
        c->fds[i].revents = c->fds[i].fd == fd ? POLLNVAL : 0;
        bad += c->fds[i].fd == fd;
    }
    return bad;
}

static bool has_urgent(void *call)
{
    const struct poll_call *c = call;
    nfds_t i = 0;
    while (i < c->count && (c->fds[i].events & POLLPRI) == 0)
        i++;
    return i < c->count;
}

/* Whether the task has just found nothing to read in the descriptor: a first look is not needed. */
static bool is_known_dry(struct ml_libc_calls *calls, const struct pollfd *fds, nfds_t count)
{
    bool is_read = count == 1 && fds->events == POLLIN;
    return ml_retry_take_dry(calls, is_read ? fds->fd : -1);
}

int ml_co_ppoll(struct ml_libc_calls *calls, struct pollfd *fds, nfds_t count,
                const struct timespec *timeout, const sigset_t *mask)
{
    struct poll_call call = {fds, count, timeout, mask};
    struct ml_question question = {.ask = ask_poll,
                                   .ask_plainly = ask_poll_plainly,
                                   .add = add_poll,
                                   .closed = poll_closed,
                                   .is_urgent = has_urgent,
                                   .call = &call,
                                   .count = (unsigned)count,
                                   .is_masked = mask != NULL};
    ml_time span = ml_timespan(timeout);
    if (timeout != NULL && !ml_is_timespan(timeout))
        return ml_fail(-EINVAL);
    if (fds == NULL && count > 0)
        return ml_libc.ppoll(fds, count, &no_time, mask);
    question.is_known_empty = mask == NULL && is_known_dry(calls, fds, count) && span > 0;
    return ml_question_answer(calls, &question, span);
}

int ml_co_poll(struct ml_libc_calls *calls, struct pollfd *fds, nfds_t count, int timeout)
{
    struct timespec span = {timeout / 1000, timeout % 1000 * 1000000L};
    if (timeout == 0) {
        ml_libc_call_share_later(calls);
        return ml_libc.poll(fds, count, 0);
    }
    return ml_co_ppoll(calls, fds, count, timeout < 0 ? NULL : &span, NULL);
}
