#include "io/connect.h"

#include <errno.h>

static const struct ml_wait_kind connected = {.text = "the connection of descriptor",
                                              .external = true};

static int pending_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return -error;
}

static bool is_connected(int fd)
{
    struct ml_address peer;
    return ml_address_of_peer(&peer, fd) == 0;
}

/* The connection is under way: waits for its end. */
static int await_connection(struct ml_stream *s, ml_time deadline)
{
    int error = 0;
    while (error == 0 && !is_connected(s->fd.number)) {
        error = ml_fd_wait(&s->fd, ML_FD_WRITE, &connected, deadline);
        if (error == 0)
            error = pending_error(s->fd.number);
    }
    return error;
}

static int start_connection(int fd, const struct ml_address *address,
                            const struct ml_socket_options *options)
{
    if (options->bind.size > 0 && bind(fd, &options->bind.any, options->bind.size) != 0)
        return -errno;
    int result;
    do
        result = connect(fd, &address->any, address->size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int ml_connect(struct ml_stream *s, const struct ml_address *address,
               const struct ml_socket_options *options, ml_time deadline)
{
    int fd = ml_socket_new(address->any.sa_family, SOCK_STREAM);
    if (fd < 0)
        return fd;
    ml_socket_open(s, fd);
    ml_socket_set_options(fd, address->any.sa_family, options);
    int error = start_connection(fd, address, options);
    if (error == -EINPROGRESS)
        error = await_connection(s, deadline);
    if (error != 0)
        ml_stream_close(s);
    return error;
}
