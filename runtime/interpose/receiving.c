/* Calls that receive bytes: read, recv and their family. */
#include "interpose/disk_reading.h"
#include "interpose/fd_flags.h"
#include "interpose/fd_kind.h"
#include "interpose/libc_call.h"
#include "interpose/pieces.h"
#include "interpose/result.h"
#include "interpose/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

/* ---- sockets ---- */

struct recv_call {
    int fd;
    void *buffer;
    size_t size;
    int flags;
    bool is_all; /* MSG_WAITALL is set, and has an effect */
    size_t done;
};

/* These never wait, whatever the flags of the socket: urgent data and errors are there or not. */
static bool never_waits(struct ml_libc_calls *calls, int flags)
{
    return ml_libc_call_never_waits(calls, flags, MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE);
}

/* Not for messages, which come one at a time whatever is asked for, nor for peeking, which returns
 * the same bytes again. */
static bool waits_for_all(int fd, int flags)
{
    int type = 0;
    socklen_t size = sizeof type;
    return (flags & MSG_WAITALL) != 0 && (flags & MSG_PEEK) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* 0: the peer has ended; with MSG_WAITALL also after bytes that came before. */
static ssize_t try_recv(void *call, int flags)
{
    struct recv_call *c = call;
    bool is_all = c->is_all;
    ssize_t got;
    do {
        got = ml_libc.recv(c->fd, (char *)c->buffer + c->done, c->size - c->done, c->flags | flags);
        if (is_all && got > 0)
            c->done += (size_t)got;
    } while (is_all && got > 0 && c->done < c->size);
    return is_all && got >= 0 ? (ssize_t)c->done : got;
}

ssize_t ml_co_recv(struct ml_libc_calls *calls, int fd, void *buffer, size_t size, int flags)
{
    if (never_waits(calls, flags))
        return ml_libc.recv(fd, buffer, size, flags);
    int saved = errno;
    struct recv_call call = {fd, buffer, size, flags, waits_for_all(fd, flags), 0};
    ssize_t got = ml_retry(calls, fd, POLLIN, try_recv, &call);
    return ml_part(got, call.done, saved);
}

struct recvfrom_call {
    int fd;
    void *buffer;
    size_t size;
    int flags;
    struct sockaddr *from;
    socklen_t *length;
};

static ssize_t try_recvfrom(void *call, int flags)
{
    struct recvfrom_call *c = call;
    return ml_libc.recvfrom(c->fd, c->buffer, c->size, c->flags | flags, c->from, c->length);
}

ssize_t ml_co_recvfrom(struct ml_libc_calls *calls, int fd, void *buffer, size_t size, int flags,
                       __SOCKADDR_ARG from, socklen_t *length)
{
    if (never_waits(calls, flags))
        return ml_libc.recvfrom(fd, buffer, size, flags, from, length);
    struct ml_libc_call entry = calls->entry;
    struct recvfrom_call call = {fd, buffer, size, flags, from.__sockaddr__, length};
    ssize_t got = ml_retry(calls, fd, POLLIN, try_recvfrom, &call);
    if (got <= 0 || (size_t)got >= size || !waits_for_all(fd, flags))
        return got;
    calls->entry = entry;
    int saved = errno;
    ssize_t rest = ml_co_recv(calls, fd, (char *)buffer + got, size - (size_t)got, flags);
    return rest > 0 ? got + rest : ml_part(-1, (size_t)got, saved);
}

struct recvmsg_call {
    int fd;
    struct msghdr *message;
    int flags;
};

static ssize_t try_recvmsg(void *call, int flags)
{
    struct recvmsg_call *c = call;
    return ml_libc.recvmsg(c->fd, c->message, c->flags | flags);
}

/* With MSG_WAITALL: fills the pieces behind the first `skip` bytes, until one stays short. Returns
 * how many bytes came. */
static ssize_t recv_rest(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                         const struct msghdr *message, size_t skip, int flags)
{
    ssize_t done = 0;
    int saved = errno;
    bool is_full = true;
    for (size_t i = 0; i < message->msg_iovlen && is_full; i++) {
        const struct iovec *piece = &message->msg_iov[i];
        size_t offset = skip < piece->iov_len ? skip : piece->iov_len;
        skip -= offset;
        if (offset == piece->iov_len)
            continue;
        calls->entry = entry;
        ssize_t got =
            ml_co_recv(calls, fd, (char *)piece->iov_base + offset, piece->iov_len - offset, flags);
        is_full = got > 0 && (size_t)got == piece->iov_len - offset;
        done += got > 0 ? got : 0;
    }
    errno = saved;
    return done;
}

/* With MSG_WAITALL: fills the pieces, unless control data (such as descriptors) may come with the
 * bytes: those end a call. */
ssize_t ml_co_recvmsg(struct ml_libc_calls *calls, int fd, struct msghdr *message, int flags)
{
    if (never_waits(calls, flags))
        return ml_libc.recvmsg(fd, message, flags);
    struct ml_libc_call entry = calls->entry;
    struct recvmsg_call call = {fd, message, flags};
    ssize_t got = ml_retry(calls, fd, POLLIN, try_recvmsg, &call);
    if (got <= 0 || message->msg_control != NULL || !waits_for_all(fd, flags))
        return got;
    return got + recv_rest(calls, entry, fd, message, (size_t)got, flags);
}

struct recvmmsg_call {
    int fd;
    struct mmsghdr *messages;
    unsigned count;
    int flags;
    unsigned done;
};

/* -1 with EAGAIN while another message is wanted. */
static ssize_t try_recvmmsg(void *call, int flags)
{
    struct recvmmsg_call *c = call;
    int got =
        ml_libc.recvmmsg(c->fd, c->messages + c->done, c->count - c->done, c->flags | flags, NULL);
    if (got <= 0)
        return got;
    c->done += (unsigned)got;
    bool is_enough = c->done == c->count || (c->flags & MSG_WAITFORONE) != 0;
    return is_enough ? (ssize_t)c->done : ml_fail(-EAGAIN);
}

/* Waits for all messages, or with MSG_WAITFORONE for the first. A call with a time limit, which
 * Linux checks between messages only, is left to libc. */
int ml_co_recvmmsg(struct ml_libc_calls *calls, int fd, struct mmsghdr *messages, unsigned count,
                   int flags, struct timespec *timeout)
{
    if (never_waits(calls, flags) || timeout != NULL)
        return ml_libc.recvmmsg(fd, messages, count, flags, timeout);
    int saved = errno;
    struct recvmmsg_call call = {fd, messages, count, flags, 0};
    ssize_t got = ml_retry(calls, fd, POLLIN, try_recvmmsg, &call);
    return (int)ml_part(got, call.done, saved);
}

/* ---- files of any kind ---- */

struct read_call {
    int fd;
    const struct iovec *pieces;
    int count;
    bool is_socket;
};

/* Kernels before 6.4 have no non-blocking read for pipes, and no kernel has one for terminals:
 * there poll() says whether input is ready. Another process may take it first. */
static ssize_t read_if_ready(struct read_call *c)
{
    struct pollfd ready = {.fd = c->fd, .events = POLLIN};
    if (ml_libc.poll(&ready, 1, 0) == 0 && ml_retry_patience(c->fd) > 0)
        return ml_fail(-EAGAIN);
    return ml_libc.readv(c->fd, c->pieces, c->count);
}

static ssize_t try_read(void *call, int flags)
{
    struct read_call *c = call;
    if (flags == 0)
        return ml_libc.readv(c->fd, c->pieces, c->count);
    if (c->is_socket) {
        struct msghdr message = {.msg_iov = (struct iovec *)c->pieces,
                                 .msg_iovlen = (size_t)c->count};
        ssize_t got = c->count == 1
                          ? ml_libc.recv(c->fd, c->pieces->iov_base, c->pieces->iov_len, flags)
                          : ml_libc.recvmsg(c->fd, &message, flags);
        if (got >= 0 || errno != ENOTSOCK)
            return got;
        c->is_socket = false;
    }
    ssize_t got = preadv2(c->fd, c->pieces, c->count, -1, RWF_NOWAIT);
    return got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS) ? read_if_ready(c) : got;
}

/* Fills the pieces behind the first `done` bytes, up to the end of the file. Bytes once taken are
 * kept: a pipe cannot be wound back. Returns how many bytes there are in all, or the result of the
 * first read. */
static ssize_t read_disk_rest(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                              const struct iovec *pieces, int count, size_t done)
{
    size_t skip = done;
    int saved = errno;
    ssize_t got = 1;
    for (int i = 0; i < count && got > 0; i++) {
        struct iovec rest = pieces[i];
        size_t offset = skip < rest.iov_len ? skip : rest.iov_len;
        skip -= offset;
        rest.iov_base = (char *)rest.iov_base + offset;
        rest.iov_len -= offset;
        while (rest.iov_len > 0 &&
               (got = ml_disk_read(calls, entry, fd, rest.iov_base, rest.iov_len)) > 0) {
            done += (size_t)got;
            rest.iov_base = (char *)rest.iov_base + got;
            rest.iov_len -= (size_t)got;
        }
    }
    return ml_part(got >= 0 ? (ssize_t)done : got, done, saved);
}

/* Any file but one on a disk. If it turns out to be one on a disk, after `got` bytes or -1, the
 * disk's way takes over. */
static ssize_t read_stream(struct ml_libc_calls *calls, int fd, const struct iovec *pieces,
                           int count)
{
    struct ml_libc_call entry = calls->entry;
    int saved = errno;
    struct read_call call = {fd, pieces, count, ml_fd_kind_of(calls, fd) == ML_FD_KIND_SOCKET};
    ssize_t got = ml_retry(calls, fd, POLLIN, try_read, &call);
    bool is_short = got > 0 && (size_t)got < ml_pieces_size(pieces, count);
    if (is_short && !call.is_socket && ml_fd_kind_has_disk(ml_fd_kind_find(calls, fd)))
        return read_disk_rest(calls, entry, fd, pieces, count, (size_t)got);
    bool is_over = got < 0 && errno == EAGAIN && !call.is_socket &&
                   !ml_fd_flags_never_wait(ml_fd_flags_get(fd)) &&
                   ml_retry_patience(fd) != ML_FOREVER;
    if (is_over)
        errno = saved;
    return is_over ? 0 : got;
}

/* Takes at once what is in the page cache; the rest, up to the end of the file, from the disk.
 * If that is fewer bytes than asked for, the kernel is asked whether the file is still one on a
 * disk. */
static ssize_t read_disk(struct ml_libc_calls *calls, int fd, const struct iovec *pieces, int count)
{
    struct ml_libc_call entry = calls->entry;
    int saved = errno;
    ssize_t got = preadv2(fd, pieces, count, -1, RWF_NOWAIT);
    if (got == 0 || (got > 0 && (size_t)got == ml_pieces_size(pieces, count)))
        return got;
    bool is_refused = got < 0 && errno != EAGAIN && errno != EOPNOTSUPP && errno != ENOSYS;
    errno = saved;
    if (!ml_fd_kind_has_disk(ml_fd_kind_find(calls, fd)))
        return got > 0 ? got : read_stream(calls, fd, pieces, count);
    if (is_refused)
        return ml_libc.readv(fd, pieces, count);
    return read_disk_rest(calls, entry, fd, pieces, count, got > 0 ? (size_t)got : 0);
}

/* A read of no bytes takes no message from a socket and does not wait. */
static ssize_t read_pieces(struct ml_libc_calls *calls, int fd, const struct iovec *pieces,
                           int count)
{
    if (pieces == NULL || count > UIO_MAXIOV || pieces->iov_len > SSIZE_MAX ||
        ml_pieces_are_empty(pieces, count))
        return ml_libc.readv(fd, pieces, count);
    return ml_fd_kind_has_disk(ml_fd_kind_of(calls, fd)) ? read_disk(calls, fd, pieces, count)
                                                         : read_stream(calls, fd, pieces, count);
}

ssize_t ml_co_read(struct ml_libc_calls *calls, int fd, void *buffer, size_t size)
{
    struct iovec piece = {buffer, size};
    if (size > SSIZE_MAX)
        return ml_libc.read(fd, buffer, size);
    return read_pieces(calls, fd, &piece, 1);
}

ssize_t ml_co_readv(struct ml_libc_calls *calls, int fd, const struct iovec *pieces, int count)
{
    return count > 0 ? read_pieces(calls, fd, pieces, count) : ml_libc.readv(fd, pieces, count);
}
