#include "io/listener.h"

#include "base/error.h"
#include "hub/wait/slice.h"
#include "io/balance.h"
#include "io/local_socket.h"
#include "io/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct ml_wait_kind connection = {
    .text = "a connection to descriptor", .target = ML_TARGET_DESCRIPTOR, .external = true};

void ml_listener_init(struct ml_listener *listener, struct ml_io *io)
{
    *listener = (struct ml_listener){.io = io};
    ml_fd_init(&listener->fd, io->hub);
}

static int bind_and_listen(int fd, const struct ml_address *address,
                           const struct ml_socket_options *options, struct ml_local_path *path)
{
    ml_socket_set_flag(fd, SOL_SOCKET, SO_REUSEADDR, true);
    if (options->reuseport)
        ml_socket_set_flag(fd, SOL_SOCKET, SO_REUSEPORT, true);
    if (address->any.sa_family == AF_INET6) /* so "::" leaves all IPv4 addresses to other sockets */
        ml_socket_set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, true);
    int error = ml_local_bind(fd, address, path);
    if (error != 0)
        return error;
    return listen(fd, options->backlog > 0 ? options->backlog : SOMAXCONN) == 0 ? 0 : -errno;
}

int ml_listener_open(struct ml_listener *listener, const struct ml_address *address,
                     const struct ml_socket_options *options)
{
    int fd = ml_socket_new(address->any.sa_family, SOCK_STREAM);
    if (fd < 0)
        return fd;
    int error = bind_and_listen(fd, address, options, &listener->path);
    if (error != 0) {
        ml_local_remove(fd, &listener->path);
        close(fd);
        return error;
    }
    listener->options = *options;
    listener->family = address->any.sa_family;
    ml_fd_open(&listener->fd, fd);
    return 0;
}

int ml_listener_adopt(struct ml_listener *listener, int fd, const struct ml_socket_options *options)
{
    struct ml_address address;
    int error = ml_address_of_socket(&address, fd);
    if (error != 0)
        return error;
    if (ml_socket_option(fd, SO_TYPE, -1) != SOCK_STREAM ||
        ml_socket_option(fd, SO_ACCEPTCONN, -1) != 1)
        return -EINVAL;
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return -errno;
    listener->options = *options;
    listener->family = address.any.sa_family;
    ml_fd_open(&listener->fd, fd);
    return 0;
}

static bool is_out_of_resources(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

/* accept(2): errors of the connection, not of the listener. */
static bool is_of_connection(int error)
{
    switch (-error) {
    case ECONNABORTED:
    case EINTR:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

static int pause_for_descriptor(struct ml_listener *listener, ml_time deadline)
{
    ml_time now = ml_hub_now(listener->io->hub);
    if (now >= deadline)
        return -ETIMEDOUT;
    ml_time until = ml_time_earlier(deadline, ml_time_after(now, ML_LISTENER_PAUSE));
    return ml_sleep_until(listener->io->hub, until);
}

static int begin_accept(struct ml_listener *listener, ml_time deadline)
{
    return ml_slice_point_until(listener->io->hub, deadline);
}

/* After accept4() failed with `error`: 0 to try again. */
static int await_next(struct ml_listener *listener, int error, ml_time deadline)
{
    if (is_of_connection(error))
        return begin_accept(listener, deadline);
    if (error == -EAGAIN) {
        listener->has_taken = false;
        return ml_fd_wait(&listener->fd, ML_FD_READ, &connection, deadline);
    }
    return is_out_of_resources(error) ? pause_for_descriptor(listener, deadline) : error;
}

/* The descriptor of the next connection; or an error of accept4(), -ML_ECLOSED, -EBUSY. */
static int accept_next(struct ml_listener *listener, struct ml_stream *s)
{
    if (!ml_fd_is_open(&listener->fd))
        return -ML_ECLOSED;
    if (listener->fd.sides[ML_FD_READ].waiter != NULL)
        return -EBUSY;
    socklen_t size = sizeof s->accepted_from;
    int fd = accept4(listener->fd.number, (struct sockaddr *)&s->accepted_from, &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    fd = fd >= 0 ? fd : -errno;
    listener->has_taken = fd >= 0;
    ml_slice_spend_call(listener->io->hub, 0);
    return fd;
}

static int open_accepted(struct ml_listener *listener, struct ml_stream *s, int fd)
{
    ml_socket_set_options(fd, listener->family, &listener->options);
    s->is_accepted = true;
    int error = ml_socket_open_family(s, fd, listener->family);
    s->is_counted = error == 0 && listener->is_spread && listener->io->balance != NULL;
    if (s->is_counted)
        ml_balance_opened(listener->io->balance);
    return error;
}

int ml_listener_try(struct ml_listener *listener, struct ml_stream *s)
{
    int fd;
    do
        fd = accept_next(listener, s);
    while (is_of_connection(fd));
    if (fd < 0)
        return is_out_of_resources(fd) ? -ENOBUFS : fd;
    return open_accepted(listener, s, fd);
}

/* Waits for a connection, then leaves it to other processes for a while. */
static int pause_for_others(struct ml_listener *listener, ml_time deadline)
{
    struct ml_hub *hub = listener->io->hub;
    int error = ml_fd_wait(&listener->fd, ML_FD_READ, &connection, deadline);
    if (error != 0)
        return error;
    return ml_sleep_until(hub, ml_time_after(ml_hub_now(hub), ML_BALANCE_PAUSE));
}

/* A process that has more connections than others lets those accept first. */
static int give_way(struct ml_listener *listener, ml_time deadline)
{
    struct ml_balance *balance = listener->is_spread ? listener->io->balance : NULL;
    int error = 0;
    if (balance == NULL || deadline == ML_NEVER_WAIT)
        return 0;
    ml_balance_join(balance);
    for (unsigned paused = 0; error == 0 && ml_balance_must_pause(balance, paused); paused++)
        error = pause_for_others(listener, deadline);
    return error;
}

int ml_listener_accept(struct ml_listener *listener, struct ml_stream *s, ml_time deadline)
{
    int error = begin_accept(listener, deadline);
    bool is_wait = listener->is_shared && listener->has_taken && deadline != ML_NEVER_WAIT;
    if (error == 0 && is_wait)
        error = await_next(listener, -EAGAIN, deadline);
    while (error == 0) {
        error = give_way(listener, deadline);
        if (error != 0)
            break;
        int fd = accept_next(listener, s);
        if (fd == -ML_ECLOSED || fd == -EBUSY)
            return fd;
        if (fd >= 0)
            return open_accepted(listener, s, fd);
        error = await_next(listener, fd, deadline);
    }
    return error;
}

void ml_listener_close(struct ml_listener *listener)
{
    if (ml_fd_is_open(&listener->fd) && listener->on_close != NULL)
        listener->on_close(listener);
    if (ml_fd_is_open(&listener->fd))
        ml_local_remove(listener->fd.number, &listener->path);
    ml_fd_close(&listener->fd);
}
