#include "io/datagram.h"

#include "base/error.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"
#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>

static const struct ml_wait_kind arrival = {
    .text = "a datagram on descriptor", .target = ML_TARGET_DESCRIPTOR, .external = true};
static const struct ml_wait_kind room = {
    .text = "room for a datagram on descriptor", .target = ML_TARGET_DESCRIPTOR, .external = true};

/* The pause before another try at a full receiver in the Unix domain, from twice the first pause to
 * the longest. */
#define FIRST_PAUSE (ML_MILLISECOND / 4)
#define LONGEST_PAUSE (16 * ML_MILLISECOND)

/* Where datagrams come one at a time, a check after so many finds out whether that still holds. */
enum { LOOK_EVERY = 16 };

void ml_datagram_init(struct ml_datagram *d, struct ml_io *io)
{
    *d = (struct ml_datagram){.io = io, .max = ML_IO_READ_SIZE};
    ml_fd_init(&d->fd, io->hub);
    ml_list_init(&d->senders);
}

int ml_datagram_open(struct ml_datagram *d, int family)
{
    int fd = ml_socket_new(family, SOCK_DGRAM);
    if (fd < 0)
        return fd;
    d->family = (sa_family_t)family;
    ml_fd_open(&d->fd, fd);
    return 0;
}

void ml_datagram_adopt(struct ml_datagram *d, int fd)
{
    struct ml_address address;
    if (ml_address_of_socket(&address, fd) == 0)
        d->family = address.any.sa_family;
    ml_fd_open(&d->fd, fd);
}

int ml_datagram_bind(struct ml_datagram *d, const struct ml_address *address)
{
    return ml_datagram_is_open(d) ? ml_local_bind(d->fd.number, address, &d->path) : -ML_ECLOSED;
}

int ml_datagram_connect(struct ml_datagram *d, const struct ml_address *address)
{
    if (!ml_datagram_is_open(d))
        return -ML_ECLOSED;
    int result;
    do
        result = connect(d->fd.number, &address->any, address->size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

void ml_datagram_close(struct ml_datagram *d)
{
    if (!ml_datagram_is_open(d))
        return;
    if (d->on_close != NULL)
        d->on_close(d);
    ml_datagram_drop(d);
    ml_local_remove(d->fd.number, &d->path);
    ml_fd_close(&d->fd);
    ml_wake_all(d->io->hub, &d->senders);
}

/* ---- options ---- */

/* Level and name of each option, for IPv4 and the Unix domain, and for IPv6. */
static const struct option_names {
    int level, name, level6, name6;
} option_names[] = {
    [ML_DATAGRAM_BROADCAST] = {SOL_SOCKET, SO_BROADCAST, SOL_SOCKET, SO_BROADCAST},
    [ML_DATAGRAM_REUSE] = {SOL_SOCKET, SO_REUSEADDR, SOL_SOCKET, SO_REUSEADDR},
    [ML_DATAGRAM_REUSEPORT] = {SOL_SOCKET, SO_REUSEPORT, SOL_SOCKET, SO_REUSEPORT},
    [ML_DATAGRAM_TTL] = {IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    [ML_DATAGRAM_MULTICAST_TTL] = {IPPROTO_IP, IP_MULTICAST_TTL, IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
    [ML_DATAGRAM_MULTICAST_LOOP] = {IPPROTO_IP, IP_MULTICAST_LOOP, IPPROTO_IPV6,
                                    IPV6_MULTICAST_LOOP},
    [ML_DATAGRAM_RECEIVE_BUFFER] = {SOL_SOCKET, SO_RCVBUF, SOL_SOCKET, SO_RCVBUF},
    [ML_DATAGRAM_SEND_BUFFER] = {SOL_SOCKET, SO_SNDBUF, SOL_SOCKET, SO_SNDBUF},
};

static int set(const struct ml_datagram *d, int level, int name, const void *value, socklen_t size)
{
    if (!ml_datagram_is_open(d))
        return -ML_ECLOSED;
    if (d->family == AF_UNIX && level != SOL_SOCKET)
        return -EOPNOTSUPP;
    return setsockopt(d->fd.number, level, name, value, size) == 0 ? 0 : -errno;
}

int ml_datagram_set(struct ml_datagram *d, enum ml_datagram_option option, int value)
{
    const struct option_names *names = &option_names[option];
    bool is_inet6 = d->family == AF_INET6;
    return set(d, is_inet6 ? names->level6 : names->level, is_inet6 ? names->name6 : names->name,
               &value, sizeof value);
}

int ml_interface_find(struct ml_interface *interface, const char *text)
{
    char *end;
    *interface = (struct ml_interface){0};
    if (inet_pton(AF_INET, text, &interface->address) == 1)
        return 0;
    interface->index = if_nametoindex(text);
    if (interface->index == 0) {
        unsigned long number = strtoul(text, &end, 10);
        char name[IF_NAMESIZE];
        if (*end == '\0' && if_indextoname((unsigned)number, name) != NULL)
            interface->index = (unsigned)number;
    }
    return interface->index != 0 ? 0 : -ENODEV;
}

int ml_datagram_set_interface(struct ml_datagram *d, const struct ml_interface *interface)
{
    struct ip_mreqn request = {.imr_ifindex = (int)interface->index,
                               .imr_address = interface->address};
    if (d->family == AF_INET6)
        return set(d, IPPROTO_IPV6, IPV6_MULTICAST_IF, &interface->index, sizeof interface->index);
    return set(d, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request);
}

int ml_datagram_membership(struct ml_datagram *d, const struct ml_address *group,
                           const struct ml_interface *interface, bool join)
{
    struct ip_mreqn request = {.imr_ifindex = (int)interface->index,
                               .imr_address = interface->address};
    struct ipv6_mreq request6 = {.ipv6mr_interface = interface->index};
    if (group->any.sa_family != d->family)
        return -EINVAL;
    if (d->family == AF_INET6) {
        request6.ipv6mr_multiaddr = group->inet6.sin6_addr;
        if (request6.ipv6mr_interface == 0)
            request6.ipv6mr_interface = group->inet6.sin6_scope_id;
        return set(d, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request6,
                   sizeof request6);
    }
    request.imr_multiaddr = group->inet.sin_addr;
    return set(d, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request,
               sizeof request);
}

/* ---- sending ---- */

/* Waits in the queue behind the task that waits for the descriptor; at `until` at the latest it is
 * time for another try. */
static int await_turn(struct ml_datagram *d, ml_time until, ml_time deadline)
{
    int error = ml_wait(d->io->hub, &room, (uint32_t)d->fd.number, &d->senders,
                        ml_time_earlier(until, deadline));
    bool is_try = error == -ETIMEDOUT && ml_hub_now(d->io->hub) < deadline;
    return is_try ? 0 : error;
}

/*
 * The kernel has no room for a datagram to `to`. In the Unix domain the receiver is full: the
 * kernel reports room there only to a socket that is connected to it. For any other receiver try
 * again after a pause, each task for itself, since the receivers may differ.
 */
static int await_room(struct ml_datagram *d, const struct ml_address *to, ml_time *pause,
                      ml_time deadline)
{
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    if (d->family == AF_UNIX && to != NULL) {
        *pause = ml_time_earlier(*pause * 2, LONGEST_PAUSE);
        return await_turn(d, ml_time_after(ml_hub_now(d->io->hub), *pause), deadline);
    }
    if (d->fd.sides[ML_FD_WRITE].waiter != NULL)
        return await_turn(d, ML_FOREVER, deadline);
    return ml_fd_wait(&d->fd, ML_FD_WRITE, &room, deadline);
}

static int try_send(struct ml_datagram *d, const char *data, size_t size,
                    const struct ml_address *to)
{
    ssize_t sent;
    do
        sent = sendto(d->fd.number, data, size, MSG_NOSIGNAL, to != NULL ? &to->any : NULL,
                      to != NULL ? to->size : 0);
    while (sent < 0 && errno == EINTR);
    ml_slice_spend_call(d->io->hub, sent);
    return sent >= 0 ? 0 : -errno;
}

/* A task that has waited wakes the next one when it is done, whatever the result. So one of them
 * always waits for the descriptor or is about to try. */
int ml_datagram_send(struct ml_datagram *d, const char *data, size_t size,
                     const struct ml_address *to, ml_time deadline)
{
    bool has_waited = false;
    ml_time pause = FIRST_PAUSE;
    int error = ml_slice_point_until(d->io->hub, deadline);
    while (error == 0) {
        error = ml_datagram_is_open(d) ? try_send(d, data, size, to) : -ML_ECLOSED;
        if (error != -EAGAIN)
            break;
        has_waited = true;
        error = await_room(d, to, &pause, deadline);
    }
    if (has_waited)
        ml_wake_first(d->io->hub, &d->senders);
    return error;
}

/* ---- receiving ---- */

void ml_datagram_drop(struct ml_datagram *d)
{
    if (d->block != NULL)
        ml_io_give_back(d->io, d->block);
    d->block = NULL;
}

static int try_receive(struct ml_datagram *d, struct ml_message *message)
{
    ssize_t size;
    socklen_t from;
    if (d->block == NULL && (d->block = ml_io_borrow(d->io)) == NULL)
        return -ENOMEM;
    do {
        from = sizeof message->from.local;
        size = recvfrom(d->fd.number, d->block, d->max, MSG_TRUNC, &message->from.any, &from);
    } while (size < 0 && errno == EINTR);
    ml_slice_spend_call(d->io->hub, size);
    if (size < 0) {
        int error = -errno;
        ml_datagram_drop(d);
        return error;
    }
    ml_address_set_size(&message->from, from);
    message->is_truncated = (size_t)size > d->max;
    message->size = message->is_truncated ? d->max : (size_t)size;
    message->data = d->block;
    d->streak++;
    return 0;
}

/* Before the first try: 0 or an error. Drops a datagram that the last receiver did not drop. */
static int begin_receive(struct ml_datagram *d, ml_time deadline)
{
    ml_datagram_drop(d);
    return ml_slice_point_until(d->io->hub, deadline);
}

/* Whether to try before waiting. Not after a datagram that came by a wait, if they come one at a
 * time: then one that is there already ends the wait, since no wait times out before the
 * descriptors were polled. */
static bool looks_first(struct ml_datagram *d, ml_time deadline)
{
    if (deadline == ML_NEVER_WAIT || d->streak != 1 || !d->is_sparse)
        return true;
    if (++d->unlooked < LOOK_EVERY)
        return false;
    d->unlooked = 0;
    return true;
}

static int await_datagram(struct ml_datagram *d, ml_time deadline)
{
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    int error = ml_fd_wait(&d->fd, ML_FD_READ, &arrival, deadline);
    d->streak = 0;
    return error;
}

static int receive(struct ml_datagram *d, struct ml_message *message, ml_time deadline)
{
    int error = begin_receive(d, deadline);
    bool looks = looks_first(d, deadline);
    while (error == 0 && ml_datagram_is_open(d)) {
        error = looks ? try_receive(d, message) : -EAGAIN;
        if (error != -EAGAIN)
            return error;
        if (looks && d->streak > 0)
            d->is_sparse = d->streak == 1;
        error = await_datagram(d, deadline);
        looks = true;
    }
    return error == 0 ? -ML_ECLOSED : error;
}

int ml_datagram_receive(struct ml_datagram *d, struct ml_message *message, ml_time deadline)
{
    if (!ml_datagram_is_open(d))
        return -ML_ECLOSED;
    if (d->is_receiving)
        return -EBUSY;
    d->is_receiving = true;
    int error = receive(d, message, deadline);
    d->is_receiving = false;
    return error;
}
