#include "interpose/retry.h"

#include "hub/wait/slice.h"
#include "interpose/call_wait.h"
#include "interpose/fd_flags.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>

ml_time ml_retry_patience(int fd)
{
    struct termios mode;
    int saved = errno;
    bool is_hasty =
        tcgetattr(fd, &mode) == 0 && (mode.c_lflag & ICANON) == 0 && mode.c_cc[VMIN] == 0;
    errno = saved;
    return is_hasty ? mode.c_cc[VTIME] * (ML_SECOND / 10) : ML_FOREVER;
}

ml_time ml_retry_deadline(const struct ml_libc_calls *calls, int fd, short events)
{
    struct timeval span = {0};
    socklen_t size = sizeof span;
    int option = events & POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO;
    if (getsockopt(fd, SOL_SOCKET, option, &span, &size) != 0)
        return events & POLLIN ? ml_time_after(ml_hub_now(calls->hub), ml_retry_patience(fd))
                               : ML_FOREVER;
    if (span.tv_sec == 0 && span.tv_usec == 0)
        return ML_FOREVER;
    return ml_time_after(ml_hub_now(calls->hub), ml_time_of(span.tv_sec, span.tv_usec * 1000L));
}

static bool would_block(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Most tasks that find nothing in a descriptor wait for it in their next call. */
static void note_dry(struct ml_libc_calls *calls, int fd, short events)
{
    calls->dry.task = calls->hub->current->id;
    calls->dry.fd = events == POLLIN ? fd : -1;
}

static __attribute__((noinline)) ssize_t wait_and_retry(struct ml_libc_calls *calls, int fd,
                                                        short events, ml_attempt *attempt,
                                                        void *call)
{
    struct ml_libc_call entry = calls->entry;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return ml_fail(-EBADF);
    if (ml_fd_flags_never_wait(flags)) {
        note_dry(calls, fd, events);
        return ml_fail(-EAGAIN);
    }
    ml_time deadline = ml_retry_deadline(calls, fd, events);
    ssize_t result = -1;
    int error;
    do {
        error = ml_call_wait_fd(calls, entry, fd, events, deadline);
        if (error == 0)
            result = attempt(call, MSG_DONTWAIT);
    } while (error == -EINTR || (error == 0 && would_block(result)));
    if (error == ML_PLAINLY)
        return attempt(call, 0);
    if (error != 0)
        return ml_fail(error == -ETIMEDOUT ? -EAGAIN : error);
    return result;
}

ssize_t ml_retry(struct ml_libc_calls *calls, int fd, short events, ml_attempt *attempt, void *call)
{
    if (ml_unlikely(ml_libc_call_share_on(calls, fd) != 0))
        return ml_fail(-ECANCELED);
    int saved = errno;
    ssize_t result = attempt(call, MSG_DONTWAIT);
    if (would_block(result))
        result = wait_and_retry(calls, fd, events, attempt, call);
    ml_slice_spend_bytes(calls->hub, result);
    if (ml_likely(result >= 0))
        errno = saved;
    return result;
}
