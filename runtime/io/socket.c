#include "io/socket.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* After a recv() that did not fill its room there was no more: the next one would be in vain. */
static ssize_t socket_receive(struct ml_stream *s, char *memory, size_t room)
{
    if (s->is_drained)
        return -EAGAIN;
    ssize_t count;
    do
        count = recv(s->fd.number, memory, room, 0);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return -errno;
    s->is_drained = (size_t)count < room;
    return count;
}

static ssize_t socket_transmit(struct ml_stream *s, const struct iovec *pieces, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)pieces,
                             .msg_iovlen = (size_t)(count < IOV_MAX ? count : IOV_MAX)};
    ssize_t sent;
    do
        sent = count == 1 ? send(s->fd.number, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
                          : sendmsg(s->fd.number, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : -errno;
}

static int socket_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                       ml_time deadline)
{
    int error = ml_fd_wait(&s->fd, event, kind, deadline);
    if (error == 0 && event == ML_FD_READ)
        s->is_drained = false;
    return error;
}

static int socket_shutdown(struct ml_stream *s, ml_time deadline)
{
    (void)deadline;
    return shutdown(s->fd.number, SHUT_WR) == 0 ? 0 : -errno;
}

static void socket_close(struct ml_stream *s)
{
    ml_fd_close(&s->fd);
}

const struct ml_transport ml_socket_transport = {
    .receive = socket_receive,
    .transmit = socket_transmit,
    .wait = socket_wait,
    .shutdown = socket_shutdown,
    .close = socket_close,
};

void ml_socket_open(struct ml_stream *s, int fd)
{
    ml_fd_open(&s->fd, fd);
    ml_stream_open(s, &ml_socket_transport);
}

int ml_socket_new(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 ? fd : -errno;
}

void ml_socket_set_flag(int fd, int level, int name, bool on)
{
    int value = on;
    setsockopt(fd, level, name, &value, sizeof value);
}

void ml_socket_set_options(int fd, sa_family_t family, const struct ml_socket_options *options)
{
    if (family == AF_UNIX)
        return;
    if (!options->delay)
        ml_socket_set_flag(fd, IPPROTO_TCP, TCP_NODELAY, true);
    if (options->keepalive)
        ml_socket_set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, true);
}
