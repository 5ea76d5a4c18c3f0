/* Calls that send bytes: write, send and their family. On a blocking descriptor they send all of
 * them, as libc's do. */
#include "interpose/sending.h"

#include "base/no_sigpipe.h"
#include "interpose/call_wait.h"
#include "interpose/disk_reading.h"
#include "interpose/fd_kind.h"
#include "interpose/libc_call.h"
#include "interpose/pieces.h"
#include "interpose/prompt.h"
#include "interpose/result.h"
#include "interpose/retry.h"
#include "system/file/call.h"

#include <errno.h>
#include <limits.h>

struct send_call {
    int fd;
    const char *data;
    size_t size;
    int flags;
    size_t done;
};

/* If the kernel lacks room for all, the bytes go in parts. Messages go whole. */
static ssize_t try_send(void *call, int flags)
{
    struct send_call *c = call;
    ssize_t sent;
    do {
        sent = ml_libc.send(c->fd, c->data + c->done, c->size - c->done, c->flags | flags);
        if (sent > 0)
            c->done += (size_t)sent;
    } while (sent > 0 && c->done < c->size);
    return sent >= 0 ? (ssize_t)c->done : sent;
}

ssize_t ml_co_send(struct ml_libc_calls *calls, int fd, const void *data, size_t size, int flags)
{
    if (ml_libc_call_never_waits(calls, flags, MSG_DONTWAIT))
        return ml_libc.send(fd, data, size, flags);
    int saved = errno;
    struct send_call call = {fd, data, size, flags, 0};
    ssize_t sent = ml_retry(calls, fd, POLLOUT, try_send, &call);
    return ml_part(sent, call.done, saved);
}

struct sendto_call {
    struct send_call rest;
    const struct sockaddr *to;
    socklen_t length;
};

/* MSG_FASTOPEN to a host without a cookie: the connection is on its way without the bytes. They are
 * sent like any others once it is there. */
static bool is_only_connecting(ssize_t sent, int flags)
{
    return sent < 0 && errno == EINPROGRESS && (flags & MSG_FASTOPEN) != 0;
}

/* The address is for datagrams. A stream has a peer already, and the rest is sent like any other
 * bytes. */
static ssize_t try_sendto(void *call, int flags)
{
    struct sendto_call *c = call;
    struct send_call *rest = &c->rest;
    if (rest->done == 0) {
        ssize_t sent =
            ml_libc.sendto(rest->fd, rest->data, rest->size, rest->flags | flags, c->to, c->length);
        if (is_only_connecting(sent, rest->flags)) {
            rest->flags &= ~MSG_FASTOPEN;
            c->to = NULL, c->length = 0;
            return ml_fail(-EAGAIN);
        }
        if (sent <= 0 || (size_t)sent >= rest->size)
            return sent;
        rest->done = (size_t)sent;
        rest->flags &= ~MSG_FASTOPEN;
    }
    return try_send(rest, flags);
}

ssize_t ml_co_sendto(struct ml_libc_calls *calls, int fd, const void *data, size_t size, int flags,
                     __CONST_SOCKADDR_ARG to, socklen_t length)
{
    if (to.__sockaddr__ == NULL)
        return ml_co_send(calls, fd, data, size, flags);
    if (ml_libc_call_never_waits(calls, flags, MSG_DONTWAIT))
        return ml_libc.sendto(fd, data, size, flags, to, length);
    int saved = errno;
    struct sendto_call call = {{fd, data, size, flags, 0}, to.__sockaddr__, length};
    ssize_t sent = ml_retry(calls, fd, POLLOUT, try_sendto, &call);
    return ml_part(sent, call.rest.done, saved);
}

/* ---- several pieces ---- */

/* The pieces of a message, and how far they have been sent. */
struct pieces {
    const struct iovec *list;
    size_t count;
    size_t piece;  /* the first that is not sent yet */
    size_t offset; /* of its unsent rest */
    size_t done;
};

/* Notes that `size` more bytes have been sent. */
static void advance(struct pieces *p, size_t size)
{
    p->done += size;
    p->offset += size;
    while (p->piece < p->count && p->offset >= p->list[p->piece].iov_len)
        p->offset -= p->list[p->piece++].iov_len;
}

static bool is_finished(const struct pieces *p)
{
    return p->piece >= p->count;
}

/* The unsent rest of the first such piece. */
static struct iovec next_piece(const struct pieces *p)
{
    const struct iovec *piece = &p->list[p->piece];
    return (struct iovec){(char *)piece->iov_base + p->offset, piece->iov_len - p->offset};
}

struct sendmsg_call {
    int fd;
    struct msghdr message;
    int flags;
    struct pieces pieces;
};

static ssize_t send_piece(const struct sendmsg_call *c, int flags)
{
    struct iovec piece = next_piece(&c->pieces);
    return ml_libc.send(c->fd, piece.iov_base, piece.iov_len, c->flags | flags);
}

/* First all pieces at once; the rest goes piece by piece, without the control data. */
static ssize_t try_sendmsg(void *call, int flags)
{
    struct sendmsg_call *c = call;
    ssize_t sent;
    do {
        sent = c->pieces.done == 0 ? ml_libc.sendmsg(c->fd, &c->message, c->flags | flags)
                                   : send_piece(c, flags);
        if (is_only_connecting(sent, c->flags)) {
            c->flags &= ~MSG_FASTOPEN;
            c->message.msg_name = NULL, c->message.msg_namelen = 0;
            sent = ml_fail(-EAGAIN);
        }
        if (sent > 0)
            advance(&c->pieces, (size_t)sent);
    } while (sent > 0 && !is_finished(&c->pieces));
    return sent >= 0 ? (ssize_t)c->pieces.done : sent;
}

ssize_t ml_co_sendmsg(struct ml_libc_calls *calls, int fd, const struct msghdr *message, int flags)
{
    if (ml_libc_call_never_waits(calls, flags, MSG_DONTWAIT) || message == NULL)
        return ml_libc.sendmsg(fd, message, flags);
    struct sendmsg_call call = {
        fd, *message, flags, {.list = message->msg_iov, .count = message->msg_iovlen}};
    int saved = errno;
    ssize_t sent = ml_retry(calls, fd, POLLOUT, try_sendmsg, &call);
    return ml_part(sent, call.pieces.done, saved);
}

/* Sends one message after the other, as many as go, and no more than the kernel takes at once. The
 * next call reports an error after the first message. */
int ml_co_sendmmsg(struct ml_libc_calls *calls, int fd, struct mmsghdr *messages, unsigned count,
                   int flags)
{
    struct ml_libc_call entry = calls->entry;
    unsigned done = 0;
    ssize_t sent = 0;
    int saved = errno;
    if (messages == NULL || count == 0)
        return ml_libc.sendmmsg(fd, messages, count, flags);
    count = count < UIO_MAXIOV ? count : UIO_MAXIOV;
    while (done < count && sent >= 0) {
        calls->entry = entry;
        sent = ml_co_sendmsg(calls, fd, &messages[done].msg_hdr, flags);
        if (sent >= 0)
            messages[done++].msg_len = (unsigned)sent;
    }
    return (int)ml_part(sent < 0 ? -1 : (ssize_t)done, done, saved);
}

/* ---- files of any kind ---- */

/* poll() calls a pipe writable when it takes this many bytes without blocking (POSIX, "pipe":
 * PIPE_BUF). */
enum { SURE_SIZE = 4096 };

struct write_call {
    struct send_call rest;
    bool is_socket;
    bool is_quiet; /* no SIGPIPE */
};

/* Kernels before 6.4 have no non-blocking write for pipes, and no kernel has one for terminals. */
static ssize_t write_if_ready(struct send_call *c)
{
    struct pollfd ready = {.fd = c->fd, .events = POLLOUT};
    size_t left = c->size - c->done, part = left < SURE_SIZE ? left : SURE_SIZE;
    if (ml_libc.poll(&ready, 1, 0) == 0)
        return ml_fail(-EAGAIN);
    ssize_t sent = ml_libc.write(c->fd, c->data + c->done, part);
    if (sent > 0 && (size_t)sent < part)
        c->size = c->done + (size_t)sent; /* an eventfd or the like: that was all it takes */
    return sent;
}

static ssize_t write_part(struct write_call *call, int flags)
{
    struct send_call *c = &call->rest;
    struct iovec left = {(char *)c->data + c->done, c->size - c->done};
    if (flags == 0)
        return ml_libc.write(c->fd, left.iov_base, left.iov_len);
    if (call->is_socket) {
        ssize_t sent = ml_libc.send(c->fd, left.iov_base, left.iov_len, flags);
        if (sent >= 0 || errno != ENOTSOCK)
            return sent;
        call->is_socket = false;
    }
    ssize_t sent = pwritev2(c->fd, &left, 1, -1, RWF_NOWAIT);
    return sent < 0 && (errno == EOPNOTSUPP || errno == ENOSYS) ? write_if_ready(c) : sent;
}

static ssize_t write_part_quietly(struct write_call *call, int flags)
{
    struct ml_quiet quiet = ml_quiet_begin();
    ssize_t sent = write_part(call, flags);
    ml_quiet_end(quiet, sent < 0 && errno == EPIPE);
    return sent;
}

static ssize_t try_write(void *call, int flags)
{
    struct write_call *w = call;
    struct send_call *c = &w->rest;
    ssize_t sent;
    do {
        sent = w->is_quiet ? write_part_quietly(w, flags) : write_part(w, flags);
        if (sent > 0)
            c->done += (size_t)sent;
    } while (sent > 0 && c->done < c->size);
    return sent >= 0 ? (ssize_t)c->done : sent;
}

ssize_t ml_write_quietly(struct ml_libc_calls *calls, int fd, const void *data, size_t size)
{
    struct write_call call = {{fd, data, size, 0, 0}, false, true};
    int saved = errno;
    ssize_t sent = ml_retry(calls, fd, POLLOUT, try_write, &call);
    return ml_part(sent, call.rest.done, saved);
}

static int make_write(struct ml_file_call *call)
{
    ssize_t count = ml_libc.write((int)call->numbers[0], call->input, call->input_size);
    call->size = count > 0 ? (size_t)count : 0;
    return count < 0 ? -errno : 0;
}

/* A piece of a file whose disk asks a server, by a worker. */
static ssize_t write_far_piece(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                               const char *data, size_t size)
{
    enum { MOST = 1024 * 1024 };
    size_t part = size < MOST ? size : MOST;
    int saved = errno;
    struct ml_file_call *call = ml_file_call_new(make_write, true, NULL, NULL, data, part);
    if (call == NULL)
        return ml_fail(-ENOMEM);
    call->numbers[0] = fd;
    int error = ml_call_wait_job(calls, entry, &call->job);
    errno = saved;
    if (error != 0)
        return ml_fail(error);
    ssize_t result = call->result < 0 ? ml_fail(call->result) : (ssize_t)call->size;
    ml_file_call_free(call);
    return result;
}

/* Writes to a disk end in the page cache, and do not wait, unless it asks a server. */
static ssize_t write_disk(struct ml_libc_calls *calls, int fd, const char *data, size_t size)
{
    struct ml_libc_call entry = calls->entry;
    int saved = errno;
    if (ml_disk_is_near(calls, entry, fd))
        return ml_libc.write(fd, data, size);
    ssize_t sent = 1;
    size_t done = 0;
    for (; done < size && sent > 0; done += sent > 0 ? (size_t)sent : 0)
        sent = write_far_piece(calls, entry, fd, data + done, size - done);
    return ml_part(sent < 0 ? sent : (ssize_t)done, done, saved);
}

ssize_t ml_co_write(struct ml_libc_calls *calls, int fd, const void *data, size_t size)
{
    if (size == 0 || size > SSIZE_MAX)
        return ml_libc.write(fd, data, size);
    enum ml_fd_kind kind = ml_fd_kind_check(calls, fd);
    if (ml_fd_kind_has_disk(kind))
        return kind == ML_FD_KIND_DISK ? ml_libc.write(fd, data, size)
                                       : write_disk(calls, fd, data, size);
    ml_prompt_make_way(calls, fd, data, size);
    struct write_call call = {
        {fd, data, size, 0, 0}, ml_fd_kind_of(calls, fd) == ML_FD_KIND_SOCKET, false};
    int saved = errno;
    ssize_t sent = ml_retry(calls, fd, POLLOUT, try_write, &call);
    return ml_part(sent, call.rest.done, saved);
}

struct writev_call {
    int fd;
    const struct iovec *pieces;
    int count;
};

static ssize_t try_writev(void *call, int flags)
{
    struct writev_call *c = call;
    struct pollfd ready = {.fd = c->fd, .events = POLLOUT};
    if (flags == 0)
        return ml_libc.writev(c->fd, c->pieces, c->count);
    ssize_t sent = pwritev2(c->fd, c->pieces, c->count, -1, RWF_NOWAIT);
    if (sent >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
        return sent;
    if (ml_libc.poll(&ready, 1, 0) == 0)
        return ml_fail(-EAGAIN);
    return ml_pieces_size(c->pieces, c->count) <= SURE_SIZE
               ? ml_libc.writev(c->fd, c->pieces, c->count)
               : ml_libc.write(c->fd, c->pieces->iov_base,
                               c->pieces->iov_len < SURE_SIZE ? c->pieces->iov_len : SURE_SIZE);
}

/* Piece by piece. All bytes that were written, also those before; or -1. */
static ssize_t write_rest(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                          struct pieces *pieces)
{
    int saved = errno;
    ssize_t sent = 1;
    while (sent > 0 && !is_finished(pieces)) {
        struct iovec piece = next_piece(pieces);
        calls->entry = entry;
        sent = ml_co_write(calls, fd, piece.iov_base, piece.iov_len);
        if (sent > 0)
            advance(pieces, (size_t)sent);
    }
    return ml_part(sent < 0 ? sent : (ssize_t)pieces->done, pieces->done, saved);
}

/* The pieces of a datagram belong together, and so do those of less than PIPE_BUF to a pipe. So all
 * are offered at once, and the rest goes piece by piece. */
static ssize_t write_pieces(struct ml_libc_calls *calls, int fd, const struct iovec *list,
                            int count)
{
    struct ml_libc_call entry = calls->entry;
    struct writev_call call = {fd, list, count};
    struct pieces pieces = {.list = list, .count = (size_t)count};
    ssize_t sent = ml_retry(calls, fd, POLLOUT, try_writev, &call);
    if (sent <= 0)
        return sent;
    advance(&pieces, (size_t)sent);
    return write_rest(calls, entry, fd, &pieces);
}

/* To a disk that asks a server. */
static ssize_t write_far_pieces(struct ml_libc_calls *calls, int fd, const struct iovec *list,
                                int count)
{
    struct pieces pieces = {.list = list, .count = (size_t)count};
    advance(&pieces, 0);
    return write_rest(calls, calls->entry, fd, &pieces);
}

ssize_t ml_co_writev(struct ml_libc_calls *calls, int fd, const struct iovec *pieces, int count)
{
    if (count <= 0 || count > UIO_MAXIOV || pieces == NULL || ml_pieces_are_empty(pieces, count))
        return ml_libc.writev(fd, pieces, count);
    enum ml_fd_kind kind = ml_fd_kind_check(calls, fd);
    if (kind == ML_FD_KIND_DISK)
        return ml_libc.writev(fd, pieces, count);
    if (kind == ML_FD_KIND_FAR)
        return write_far_pieces(calls, fd, pieces, count);
    if (ml_fd_kind_of(calls, fd) == ML_FD_KIND_SOCKET) {
        struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
        ssize_t sent = ml_co_sendmsg(calls, fd, &message, 0);
        if (sent >= 0 || errno != ENOTSOCK)
            return sent;
    }
    return write_pieces(calls, fd, pieces, count);
}
