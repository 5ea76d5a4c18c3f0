#include "io/resolver_sockets.h"

#include "base/check.h"
#include "hub/on/watch.h"
#include "io/cares.h"
#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

/* Ports for each server at most; beyond that, or when descriptors run out, questions share them. */
enum { MOST_PORTS = 128 };

/* Questions for each port at most: the oldest are forgotten, and asked again. */
enum { MOST_IDS = 128 };

/* After so many datagrams that are no answers other tasks run. */
enum { MOST_REFUSED = 64 };

enum { HEADER_SIZE = 12, SERVFAIL = 2, NXDOMAIN = 3, NO_ID = -1 };

/* A socket of the kernel. */
struct port {
    struct port *next;
    struct ml_resolver_socket *owner;
    struct ml_watch *watch;
    ml_time sent_at; /* the last of them */
    int fd;
    unsigned sent;
    int ids[MOST_IDS]; /* of the questions whose answers may come here; NO_ID */
};

/* A socket in c-ares' view, which calls it by its number. */
struct ml_resolver_socket {
    struct ml_resolver_socket *next;
    struct ml_resolver_sockets *sockets;
    struct port *ports; /* the newest first; a TCP connection has one */
    struct port *ready; /* the one to receive from; NULL: none */
    size_t server;
    int number;
    int count; /* of ports */
    int type;
    int error; /* all questions that are out get it; 0: none */
};

static struct ml_resolver_socket **find(struct ml_resolver_sockets *sockets, int number)
{
    struct ml_resolver_socket **place = &sockets->first;
    while (*place != NULL && (*place)->number != number)
        place = &(*place)->next;
    return place;
}

/* ---- ports ---- */

static void on_port_ready(void *data, int fd, bool readable, bool writable)
{
    (void)fd;
    struct port *port = data;
    struct ml_resolver_socket *socket = port->owner;
    struct ml_resolver_sockets *sockets = socket->sockets;
    int number = socket->number;
    socket->ready = port;
    ares_process_fd(sockets->ares, readable ? number : ARES_SOCKET_BAD,
                    writable ? number : ARES_SOCKET_BAD);
    ml_resolver_sockets_settle(sockets);
}

static void close_port(struct port **place)
{
    struct port *port = *place;
    struct ml_resolver_socket *socket = port->owner;
    *place = port->next;
    socket->count--;
    if (socket->ready == port)
        socket->ready = NULL;
    ml_watch_close(port->watch);
    if (port->fd >= 0)
        close(port->fd);
    free(port);
}

static const struct ml_address *address_of(const struct ml_resolver_socket *socket)
{
    return &socket->sockets->servers->items[socket->server];
}

/* 0, also while a TCP connection is under way, or a negated errno. */
static int connect_port(struct port *port)
{
    struct ml_resolver_socket *socket = port->owner;
    const struct ml_address *address = address_of(socket);
    port->fd = ml_socket_new(address->any.sa_family, socket->type);
    if (port->fd < 0)
        return port->fd;
    if (connect(port->fd, &address->any, address->size) != 0 && errno != EINPROGRESS)
        return -errno;
    port->watch = ml_watch_open(socket->sockets->hub, port->fd, on_port_ready, port);
    if (port->watch == NULL)
        return -ENOMEM;
    ml_watch_set(port->watch, true, false);
    return 0;
}

/* A new one, or NULL with the reason in the sockets' error. */
static struct port *open_port(struct ml_resolver_socket *socket)
{
    struct port *port = malloc(sizeof *port);
    int error = port != NULL ? 0 : -ENOMEM;
    if (port != NULL) {
        *port = (struct port){.owner = socket, .next = socket->ports, .fd = -1};
        for (int i = 0; i < MOST_IDS; i++)
            port->ids[i] = NO_ID;
        socket->ports = port;
        socket->count++;
        error = connect_port(port);
    }
    socket->sockets->error = error;
    if (error != 0 && port != NULL) {
        close_port(&socket->ports);
        port = NULL;
    }
    return port;
}

/* Closes those from which nothing was sent for so long that no answer is expected. */
static void close_old_ports(struct ml_resolver_socket *socket)
{
    ml_time old = ml_clock_now() - socket->sockets->patience;
    struct port **place = &socket->ports;
    while (*place != NULL) {
        if ((*place)->sent_at < old)
            close_port(place);
        else
            place = &(*place)->next;
    }
}

static struct port *any_port(const struct ml_resolver_socket *socket)
{
    unsigned random = 0;
    struct port *port = socket->ports;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = 0;
    for (int i = (int)(random % (unsigned)socket->count); i > 0; i--)
        port = port->next;
    return port;
}

/* The port from which the next datagram leaves; NULL: there is none. */
static struct port *choose_port(struct ml_resolver_socket *socket)
{
    if (socket->count >= MOST_PORTS)
        close_old_ports(socket);
    struct port *port = socket->count < MOST_PORTS ? open_port(socket) : NULL;
    return port != NULL || socket->count == 0 ? port : any_port(socket);
}

static bool is_awaited(const struct port *port, int id)
{
    for (unsigned i = 0; i < MOST_IDS && i < port->sent; i++)
        if (port->ids[i] == id)
            return true;
    return false;
}

/* Takes the question's number off the port. Whether no answer is expected there any more. */
static bool forget_at(struct port *port, int id)
{
    bool is_idle = true;
    for (unsigned i = 0; i < MOST_IDS && i < port->sent; i++) {
        if (port->ids[i] == id)
            port->ids[i] = NO_ID;
        is_idle = is_idle && port->ids[i] == NO_ID;
    }
    return is_idle;
}

void ml_resolver_sockets_forget(struct ml_resolver_sockets *sockets, uint16_t id)
{
    for (struct ml_resolver_socket *socket = sockets->first; socket != NULL;
         socket = socket->next) {
        struct port **place = &socket->ports;
        while (*place != NULL && socket->type == SOCK_DGRAM) {
            if (forget_at(*place, id))
                close_port(place);
            else
                place = &(*place)->next;
        }
    }
}

/* ---- as c-ares calls them ---- */

static ares_socket_t on_open(int family, int type, int protocol, void *data)
{
    (void)family, (void)protocol;
    struct ml_resolver_sockets *sockets = data;
    struct ml_resolver_socket *socket = calloc(1, sizeof *socket);
    if (socket == NULL) {
        sockets->error = -ENOMEM;
        return ARES_SOCKET_BAD;
    }
    sockets->last_number = sockets->last_number < INT_MAX ? sockets->last_number + 1 : 1;
    socket->sockets = sockets;
    socket->number = sockets->last_number;
    socket->type = type;
    socket->next = sockets->first;
    sockets->first = socket;
    return socket->number;
}

static int on_close(ares_socket_t number, void *data)
{
    struct ml_resolver_socket **place = find(data, number);
    struct ml_resolver_socket *socket = *place;
    if (socket == NULL)
        return 0;
    while (socket->ports != NULL)
        close_port(&socket->ports);
    *place = socket->next;
    free(socket);
    return 0;
}

/* Servers as c-ares knows them: the first is 0.0.0.1. */
static struct in_addr number_of(size_t server)
{
    return (struct in_addr){.s_addr = htonl((uint32_t)server + 1)};
}

static int on_connect(ares_socket_t number, const struct sockaddr *address, ares_socklen_t size,
                      void *data)
{
    (void)size;
    struct ml_resolver_socket *socket = *find(data, number);
    struct sockaddr_in server;
    memcpy(&server, address, sizeof server);
    socket->server = ntohl(server.sin_addr.s_addr) - 1;
    ML_CHECK(socket->server < socket->sockets->servers->count);
    if (socket->type == SOCK_DGRAM)
        return 0;
    struct port *port = open_port(socket);
    errno = port != NULL ? EINPROGRESS : -socket->sockets->error;
    return -1;
}

/* A datagram that cannot be sent counts as lost. If the server, or the way to it, is the reason,
 * all questions that are out there get the error (ml_resolver_sockets_settle()): it may be that of
 * an earlier one. */
static ares_ssize_t send_datagram(struct ml_resolver_socket *socket, const void *data, size_t size)
{
    struct port *port = choose_port(socket);
    const unsigned char *bytes = data;
    if (port == NULL) {
        errno = -socket->sockets->error;
        return -1;
    }
    port->ids[port->sent++ % MOST_IDS] = bytes[0] << 8 | bytes[1];
    port->sent_at = ml_clock_now();
    ssize_t sent;
    do
        sent = sendto(port->fd, data, size, MSG_NOSIGNAL, NULL, 0);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
        socket->error = errno;
        socket->sockets->has_error = true;
    }
    return (ares_ssize_t)size;
}

static ares_ssize_t on_send(ares_socket_t number, const struct iovec *pieces, int count, void *data)
{
    struct ml_resolver_socket *socket = *find(data, number);
    struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
    if (socket->type == SOCK_DGRAM)
        return send_datagram(socket, pieces->iov_base, pieces->iov_len);
    return sendmsg(socket->ports->fd, &message, MSG_NOSIGNAL);
}

/*
 * Whether this answers a question that left from here. An answer with a code that says nothing of
 * the name is turned into a failure of the server, so that c-ares asks the next one. One that is
 * longer than a datagram may be (RFC 1035, section 4.2.1) is marked as cut short, since c-ares cuts
 * it.
 */
static bool is_answer(const struct port *port, unsigned char *bytes, size_t size)
{
    enum { RESPONSE = 0x80, OPCODE = 0x78, CODE = 0x0F, TRUNCATED = 0x02, LONGEST = 512 };
    if (size < HEADER_SIZE || (bytes[2] & RESPONSE) == 0 || (bytes[2] & OPCODE) != 0 ||
        !is_awaited(port, bytes[0] << 8 | bytes[1]))
        return false;
    int code = bytes[3] & CODE;
    if (code != 0 && code != NXDOMAIN)
        bytes[3] = (unsigned char)((bytes[3] & ~CODE) | SERVFAIL);
    if (size > LONGEST)
        bytes[2] |= TRUNCATED;
    return true;
}

static ares_ssize_t receive_answer(struct ml_resolver_socket *socket, void *memory, size_t room)
{
    for (int refused = 0; socket->ready != NULL && refused < MOST_REFUSED; refused++) {
        ssize_t size = recvfrom(socket->ready->fd, memory, room, 0, NULL, NULL);
        if (size < 0 && errno != EINTR) {
            socket->ready = NULL;
            return -1;
        }
        if (size >= 0 && is_answer(socket->ready, memory, (size_t)size))
            return size;
    }
    errno = EAGAIN;
    return -1;
}

static ares_ssize_t receive_datagram(struct ml_resolver_socket *socket, void *memory, size_t room,
                                     struct sockaddr *from, ares_socklen_t *from_size)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr = number_of(socket->server)};
    if (socket->error != 0) {
        errno = socket->error;
        socket->error = 0;
        return -1;
    }
    ares_ssize_t size = receive_answer(socket, memory, room);
    if (size >= 0 && from != NULL) {
        memcpy(from, &server, sizeof server);
        *from_size = sizeof server;
    }
    return size;
}

static ares_ssize_t on_receive(ares_socket_t number, void *memory, size_t room, int flags,
                               struct sockaddr *from, ares_socklen_t *from_size, void *data)
{
    struct ml_resolver_socket *socket = *find(data, number);
    if (socket->type == SOCK_DGRAM)
        return receive_datagram(socket, memory, room, from, from_size);
    return recv(socket->ports->fd, memory, room, flags);
}

void ml_resolver_sockets_state(void *data, int number, int readable, int writable)
{
    struct ml_resolver_socket *socket = *find(data, number);
    if (socket != NULL && socket->type == SOCK_STREAM && socket->ports != NULL)
        ml_watch_set(socket->ports->watch, readable, writable);
}

/* The number of a socket that has an error to report, 0: none has. */
static int find_failed(const struct ml_resolver_sockets *sockets)
{
    const struct ml_resolver_socket *socket = sockets->first;
    while (socket != NULL && socket->error == 0)
        socket = socket->next;
    return socket != NULL ? socket->number : 0;
}

void ml_resolver_sockets_settle(struct ml_resolver_sockets *sockets)
{
    while (sockets->has_error) {
        int number = find_failed(sockets);
        sockets->has_error = number != 0;
        if (number != 0)
            ares_process_fd(sockets->ares, number, ARES_SOCKET_BAD);
        struct ml_resolver_socket *socket = *find(sockets, number);
        if (socket != NULL) /* reported, or no question was left to get it */
            socket->error = 0;
    }
}

/* ---- servers ---- */

static int set_servers(struct ares_channeldata *ares, size_t count)
{
    struct ares_addr_port_node *nodes = calloc(count, sizeof *nodes);
    if (nodes == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        nodes[i].family = AF_INET;
        nodes[i].addr.addr4 = number_of(i);
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
    }
    int status = ares_set_servers_ports(ares, nodes);
    free(nodes);
    return status == ARES_SUCCESS ? 0 : -ENOMEM;
}

int ml_resolver_sockets_init(struct ml_resolver_sockets *sockets, struct ml_hub *hub,
                             struct ares_channeldata *ares, const struct ml_addresses *servers,
                             ml_time patience)
{
    static const struct ares_socket_functions functions = {.asocket = on_open,
                                                           .aclose = on_close,
                                                           .aconnect = on_connect,
                                                           .arecvfrom = on_receive,
                                                           .asendv = on_send};
    *sockets = (struct ml_resolver_sockets){
        .hub = hub, .ares = ares, .servers = servers, .patience = patience};
    ares_set_socket_functions(ares, &functions, sockets);
    return set_servers(ares, servers->count);
}
