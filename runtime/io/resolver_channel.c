#include "io/resolver_channel.h"

#include "base/error.h"
#include "hub/watch.h"
#include "io/cares.h"

#include <stdlib.h>
#include <string.h>

static const char configuration[] = "/etc/resolv.conf";

/* What the kernel may hold of answers that come while tasks run. */
enum { RECEIVE_BUFFER = 1024 * 1024 };

#define DEFAULT_TIMEOUT (2 * ML_SECOND)
#define LONGEST_TIMEOUT (300 * ML_SECOND)
enum { DEFAULT_TRIES = 3 };

/* A socket of c-ares and its watch. */
struct ml_resolver_socket {
    struct ml_resolver_socket *next;
    struct ml_watch *watch;
    ares_socket_t fd;
};

/* ---- sockets ---- */

static void on_socket_ready(void *data, int fd, bool readable, bool writable)
{
    struct ml_resolver_channel *channel = data;
    ares_process_fd(channel->ares, readable ? fd : ARES_SOCKET_BAD,
                    writable ? fd : ARES_SOCKET_BAD);
}

static struct ml_resolver_socket **find_socket(struct ml_resolver_channel *channel,
                                               ares_socket_t fd)
{
    struct ml_resolver_socket **place = &channel->sockets;
    while (*place != NULL && (*place)->fd != fd)
        place = &(*place)->next;
    return place;
}

static struct ml_resolver_socket *add_socket(struct ml_resolver_channel *channel, ares_socket_t fd)
{
    struct ml_resolver_socket *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return NULL;
    *entry = (struct ml_resolver_socket){.fd = fd, .next = channel->sockets};
    entry->watch = ml_watch_open(channel->hub, fd, on_socket_ready, channel);
    if (entry->watch == NULL) {
        free(entry);
        return NULL;
    }
    channel->sockets = entry;
    return entry;
}

static void remove_socket(struct ml_resolver_socket **place)
{
    struct ml_resolver_socket *entry = *place;
    *place = entry->next;
    ml_watch_close(entry->watch);
    free(entry);
}

/* c-ares tells what it waits for on each of its sockets; nothing, just before it closes one. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct ml_resolver_channel *channel = data;
    struct ml_resolver_socket **place = find_socket(channel, fd);
    if (!readable && !writable) {
        if (*place != NULL)
            remove_socket(place);
        return;
    }
    struct ml_resolver_socket *entry = *place != NULL ? *place : add_socket(channel, fd);
    if (entry != NULL)
        ml_watch_set(entry->watch, readable, writable);
}

/* ---- the channel ---- */

static int copy_addresses(struct ml_addresses *copy, const struct ml_addresses *addresses)
{
    int error = 0;
    for (size_t i = 0; i < addresses->count && error == 0; i++)
        error = ml_addresses_add(copy, &addresses->items[i]);
    return error;
}

int ml_resolver_channel_init(struct ml_resolver_channel *channel, struct ml_hub *hub,
                             const struct ml_addresses *servers, ml_time timeout, int tries)
{
    *channel = (struct ml_resolver_channel){.hub = hub};
    channel->timeout = ml_time_earlier(timeout > 0 ? timeout : DEFAULT_TIMEOUT, LONGEST_TIMEOUT);
    channel->tries = tries > 0 ? tries : DEFAULT_TRIES;
    return copy_addresses(&channel->servers, servers);
}

void ml_resolver_channel_release(struct ml_resolver_channel *channel)
{
    ml_addresses_release(&channel->servers);
}

/* c-ares 1.18 does not tell servers that failed from servers that refused or could not be reached. */
int ml_resolver_channel_error(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENODATA:
        return -ML_ENODATA;
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
        return -ML_ENOTFOUND;
    case ARES_EBADRESP:
        return -ML_EDNS_ANSWER;
    case ARES_ETIMEOUT:
        return -ETIMEDOUT;
    case ARES_ENOMEM:
        return -ENOMEM;
    case ARES_EDESTRUCTION:
        return -ML_ECLOSED;
    default:
        return -ML_EDNS;
    }
}

static struct ares_addr_port_node node_of(const struct ml_address *address)
{
    struct ares_addr_port_node node = {.family = address->any.sa_family,
                                       .udp_port = ml_address_port(address),
                                       .tcp_port = ml_address_port(address)};
    if (node.family == AF_INET6)
        memcpy(&node.addr.addr6, &address->inet6.sin6_addr, sizeof node.addr.addr6);
    else
        node.addr.addr4 = address->inet.sin_addr;
    return node;
}

static int set_servers(ares_channel ares, const struct ml_addresses *servers)
{
    size_t count = servers->count;
    if (count == 0)
        return ARES_SUCCESS;
    struct ares_addr_port_node *nodes = calloc(count, sizeof *nodes);
    if (nodes == NULL)
        return ARES_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        nodes[i] = node_of(&servers->items[i]);
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
    }
    int status = ares_set_servers_ports(ares, nodes);
    free(nodes);
    return status;
}

/* Names are looked up in hosts files by ourselves (io/hosts.h), and HOSTALIASES is not looked at. */
static int make(struct ml_resolver_channel *channel, ares_channel *ares)
{
    char lookups[] = "b";
    struct ares_options options = {
        .flags = ARES_FLAG_NOALIASES | (channel->servers.count > 0 ? ARES_FLAG_NOSEARCH : 0),
        .timeout = (int)(channel->timeout / ML_MILLISECOND),
        .tries = channel->tries,
        .lookups = lookups,
        .socket_receive_buffer_size = RECEIVE_BUFFER,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
    };
    int status =
        ares_init_options(ares, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                              ARES_OPT_SOCK_RCVBUF | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
        return ml_resolver_channel_error(status);
    status = set_servers(*ares, &channel->servers);
    if (status != ARES_SUCCESS)
        ares_destroy(*ares);
    return ml_resolver_channel_error(status);
}

int ml_resolver_channel_open(struct ml_resolver_channel *channel)
{
    ares_channel ares;
    stat(configuration, &channel->configured);
    int error = ml_cares_load();
    if (error == 0)
        error = make(channel, &ares);
    if (error == 0)
        channel->ares = ares;
    return error;
}

void ml_resolver_channel_close(struct ml_resolver_channel *channel)
{
    ares_channel ares = channel->ares;
    channel->ares = NULL;
    ares_destroy(ares);
    while (channel->sockets != NULL)
        remove_socket(&channel->sockets);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void ml_resolver_channel_follow(struct ml_resolver_channel *channel)
{
    struct stat now = {0};
    ares_channel ares;
    if (channel->servers.count > 0 || stat(configuration, &now) != 0 ||
        is_same_file(&now, &channel->configured) || make(channel, &ares) != 0)
        return;
    ml_resolver_channel_close(channel);
    channel->ares = ares;
    channel->configured = now;
}

void ml_resolver_channel_tick(struct ml_resolver_channel *channel)
{
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}
