/* connect and accept. Neither has a flag for a call that does not block, so the descriptor itself
 * is made non-blocking for the length of the system call: no other task runs on this thread
 * meanwhile. */
#include "interpose/call_wait.h"
#include "interpose/fd_flags.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"
#include "interpose/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>

/* The pause between attempts to connect to a Unix socket whose backlog is full: the kernel does not
 * report when there is room. */
#define FULL_BACKLOG_PAUSE (5 * ML_MILLISECOND)

/* Whether calls on the descriptor never block: it is non-blocking, or is not open. *flags: its
 * flags. */
static bool is_left_alone(int fd, int *flags)
{
    *flags = ml_fd_flags_get(fd);
    return ml_fd_flags_never_wait(*flags);
}

static int connect_at_once(int fd, int flags, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    ml_fd_flags_set(fd, flags | O_NONBLOCK);
    int result = ml_libc.connect(fd, address, length);
    ml_fd_flags_set(fd, flags);
    return result;
}

/* Waits until the attempt has ended. pending: EINPROGRESS, or EALREADY when an earlier call began
 * the attempt; becomes errno when the socket's time limit has passed. */
static int await_connection(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                            int pending)
{
    int error = 0;
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    ml_time deadline = ml_retry_deadline(calls, fd, POLLOUT);
    while ((error == 0 || error == -EINTR) && ml_libc.poll(&writable, 1, 0) == 0)
        error = ml_call_wait_fd(calls, entry, fd, POLLOUT, deadline);
    if (error == ML_PLAINLY)
        error = ml_libc.poll(&writable, 1, -1) < 0 ? -errno : 0;
    if (error != 0 && error != -EINTR)
        return ml_fail(error == -ETIMEDOUT ? -pending : error);
    return 0;
}

static int await_room(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd, int flags,
                      __CONST_SOCKADDR_ARG address, socklen_t length)
{
    ml_time deadline = ml_retry_deadline(calls, fd, POLLOUT);
    int result = -1, error = 0;
    while (result != 0 && error == 0) {
        ml_time next = ml_time_after(ml_hub_now(calls->hub), FULL_BACKLOG_PAUSE);
        error = ml_call_wait_time(calls, entry, ml_time_earlier(next, deadline));
        if ((error == -ETIMEDOUT && next < deadline) || error == -EINTR)
            error = 0;
        if (error == 0)
            result = connect_at_once(fd, flags, address, length);
        if (result != 0 && error == 0 && errno != EAGAIN)
            return result;
    }
    if (error == ML_PLAINLY)
        return ml_libc.connect(fd, address, length);
    return error == 0 ? 0 : ml_fail(error == -ETIMEDOUT ? -EAGAIN : error);
}

int ml_co_connect(struct ml_libc_calls *calls, int fd, __CONST_SOCKADDR_ARG address,
                  socklen_t length)
{
    struct ml_libc_call entry = calls->entry;
    int flags, saved = errno;
    if (is_left_alone(fd, &flags))
        return ml_libc.connect(fd, address, length);
    int result = connect_at_once(fd, flags, address, length);
    /* A second connect() reports the result, and leaves the socket in the state in which libc
     * leaves it. */
    if (result != 0 && (errno == EINPROGRESS || errno == EALREADY) &&
        await_connection(calls, entry, fd, errno) == 0)
        result = connect_at_once(fd, flags, address, length);
    else if (result != 0 && errno == EAGAIN)
        result = await_room(calls, entry, fd, flags, address, length);
    if (result == 0)
        errno = saved;
    return result;
}

/* ---- accept ---- */

struct accept_call {
    int fd;
    int fd_flags;
    struct sockaddr *address;
    socklen_t *length;
    int flags;
};

static ssize_t try_accept(void *call, int flags)
{
    struct accept_call *c = call;
    if (flags == 0)
        return ml_libc.accept4(c->fd, c->address, c->length, c->flags);
    ml_fd_flags_set(c->fd, c->fd_flags | O_NONBLOCK);
    int fd = ml_libc.accept4(c->fd, c->address, c->length, c->flags);
    ml_fd_flags_set(c->fd, c->fd_flags);
    return fd;
}

int ml_co_accept4(struct ml_libc_calls *calls, int fd, __SOCKADDR_ARG address, socklen_t *length,
                  int flags)
{
    struct accept_call call = {fd, 0, address.__sockaddr__, length, flags};
    if (is_left_alone(fd, &call.fd_flags))
        return ml_libc.accept4(fd, address, length, flags);
    return (int)ml_retry(calls, fd, POLLIN, try_accept, &call);
}

int ml_co_accept(struct ml_libc_calls *calls, int fd, __SOCKADDR_ARG address, socklen_t *length)
{
    return ml_co_accept4(calls, fd, address, length, 0);
}
