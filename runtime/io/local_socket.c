#include "io/local_socket.h"

#include "base/error.h"
#include "io/socket.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The most input that may be there while a task waits for a descriptor. */
enum { INPUT_MAX = 64 * 1024 };

/* Travels with a descriptor that has no data: eight bytes that no peer sends by chance. */
static const char mark[] = {'\x87', '\x26', '\x7c', '\x02', '\x2b', '\xac', '\xdb', '\xf3'};

struct local_socket {
    struct ml_transport transport; /* of sockets, with our receive and close */
    struct ml_local_path path;
    int count; /* of `came` */
    int came[ML_DESCRIPTORS_MAX];
    bool may_go_on; /* the last receive was cut short: the bytes that came with the descriptors may
                       continue */
};

/* Room for a control message with that many descriptors. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(ML_DESCRIPTORS_MAX * sizeof(int))];
};

static struct local_socket *layer_of(const struct ml_stream *s)
{
    return s->layer;
}

static void close_descriptors(struct local_socket *layer)
{
    while (layer->count > 0)
        close(layer->came[--layer->count]);
}

/* ---- the transport ---- */

static void keep_descriptors(struct local_socket *layer, struct msghdr *message)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
         head = CMSG_NXTHDR(message, head)) {
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(&layer->came[layer->count], CMSG_DATA(head), count * sizeof(int));
        layer->count += (int)count;
    }
}

/* One recvmsg(), which never goes beyond the bytes that were sent in one piece with a descriptor.
 */
static ssize_t receive_once(struct ml_stream *s, char *memory, size_t room)
{
    struct local_socket *layer = layer_of(s);
    union control control;
    struct iovec piece = {.iov_base = memory, .iov_len = room};
    int places = ML_DESCRIPTORS_MAX - layer->count;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (places > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_LEN((size_t)places * sizeof(int));
    }
    ssize_t count;
    do
        count = recvmsg(s->fd.number, &message, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return ml_socket_fail(s, errno);
    if (places > 0)
        keep_descriptors(layer, &message);
    return count;
}

static ssize_t local_receive(struct ml_stream *s, char *memory, size_t room)
{
    struct local_socket *layer = layer_of(s);
    if (s->is_drained)
        return -EAGAIN;
    if (!layer->may_go_on)
        close_descriptors(layer);
    ssize_t count = receive_once(s, memory, room);
    if (count == 0)
        return s->lost;
    if (count > 0) {
        layer->may_go_on = (size_t)count == room;
        s->is_drained = !layer->may_go_on && layer->count == 0;
    }
    return count;
}

/* The kernel lets a socket end its output also when the peer is gone. But the socket knows whether
 * the peer has left bytes unread. */
static int local_shutdown(struct ml_stream *s, ml_time deadline)
{
    int error = ml_socket_transport.shutdown(s, deadline);
    return error == 0 ? ml_socket_take_error(s) : error;
}

static void local_close(struct ml_stream *s)
{
    struct local_socket *layer = layer_of(s);
    ml_local_remove(s->fd.number, &layer->path);
    ml_fd_close(&s->fd);
    close_descriptors(layer);
    s->layer = NULL;
    free(layer);
}

int ml_local_socket_open(struct ml_stream *s, int fd)
{
    struct local_socket *layer = calloc(1, sizeof *layer);
    if (layer == NULL) {
        close(fd);
        return -ENOMEM;
    }
    layer->transport = ml_socket_transport;
    layer->transport.receive = local_receive;
    layer->transport.shutdown = local_shutdown;
    layer->transport.close = local_close;
    s->layer = layer;
    ml_fd_open(&s->fd, fd);
    ml_stream_open(s, &layer->transport);
    return 0;
}

int ml_socket_open_family(struct ml_stream *s, int fd, int family)
{
    if (family == AF_UNIX)
        return ml_local_socket_open(s, fd);
    ml_socket_open(s, fd);
    return 0;
}

bool ml_stream_is_local(const struct ml_stream *s)
{
    return ml_stream_is_open(s) && s->transport->receive == local_receive;
}

struct ml_local_path *ml_local_socket_path(struct ml_stream *s)
{
    return &layer_of(s)->path;
}

int ml_local_socket_credentials(const struct ml_stream *s, struct ucred *credentials)
{
    socklen_t size = sizeof *credentials;
    int result = getsockopt(s->fd.number, SOL_SOCKET, SO_PEERCRED, credentials, &size);
    return result == 0 ? 0 : -errno;
}

/* ---- descriptors out ---- */

/* Sends some of the bytes, the descriptor with the first of them. */
static ssize_t send_with(struct ml_stream *s, int fd, const char *data, size_t size)
{
    union control control = {0};
    struct iovec piece = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(sizeof fd)};
    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    ssize_t sent;
    do
        sent = sendmsg(s->fd.number, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : ml_socket_fail(s, errno);
}

static int send_in_turn(struct ml_stream *s, int fd, const char *data, size_t size, size_t *sent,
                        ml_time deadline)
{
    int error = ml_stream_may_write(s);
    while (error == 0 && *sent < size) {
        struct iovec rest = {.iov_base = (void *)(data + *sent), .iov_len = size - *sent};
        ssize_t now =
            *sent == 0 ? send_with(s, fd, data, size) : s->transport->transmit(s, &rest, 1);
        if (now >= 0)
            *sent += (size_t)now;
        else
            error = ml_stream_await_room(s, (int)now, deadline);
    }
    if (error != 0 && *sent > 0)
        s->write_broken = true;
    return error;
}

int ml_local_socket_send_descriptor(struct ml_stream *s, int fd, const char *data, size_t size,
                                    size_t *sent)
{
    *sent = 0;
    ml_time deadline = ml_stream_write_deadline(s);
    int error = ml_stream_take_turn(s, deadline);
    if (error != 0)
        return error;
    error = send_in_turn(s, fd, data != NULL ? data : mark, data != NULL ? size : sizeof mark, sent,
                         deadline);
    ml_stream_pass_turn(s);
    return error;
}

/* ---- descriptors in ---- */

/* How many bytes at the end of the input are the mark, or its beginning. */
static size_t mark_at_end(const struct ml_stream *s)
{
    size_t length = sizeof mark;
    size_t size = ml_buffer_size(&s->in);
    const char *end = ml_buffer_data(&s->in) + size;
    while (length > 0 && (length > size || memcmp(end - length, mark, length) != 0))
        length--;
    return length;
}

/* Takes out the mark with which the descriptor came, if there is one. It was sent in one piece, so
 * only a receive that was cut short may have got a part of it. */
static int remove_mark(struct ml_stream *s, ml_time deadline)
{
    int result = 0;
    size_t length = mark_at_end(s);
    while (result == 0 && length > 0 && length < sizeof mark && layer_of(s)->may_go_on) {
        result = ml_stream_receive_more(s, deadline);
        if (result == 0)
            length = mark_at_end(s);
    }
    if (result == 0 && length == sizeof mark)
        s->in.end -= sizeof mark;
    return result;
}

int ml_local_socket_await_descriptor(struct ml_stream *s, ml_time deadline)
{
    int result = 0;
    while (result == 0 && layer_of(s)->count == 0)
        result =
            ml_buffer_size(&s->in) >= INPUT_MAX ? -EMSGSIZE : ml_stream_receive_more(s, deadline);
    if (result == 0)
        result = remove_mark(s, deadline);
    if (result == 0)
        ml_stream_consume(s, 0);
    return result;
}

int ml_local_socket_descriptor(const struct ml_stream *s)
{
    return layer_of(s)->came[0];
}

int ml_local_socket_take_descriptor(struct ml_stream *s)
{
    struct local_socket *layer = layer_of(s);
    if (!ml_stream_is_local(s) || layer->count == 0)
        return -ML_ECLOSED;
    int fd = layer->came[0];
    layer->count--;
    memmove(layer->came, layer->came + 1, (size_t)layer->count * sizeof(int));
    return fd;
}
