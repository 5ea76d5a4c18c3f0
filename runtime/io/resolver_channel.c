#include "io/resolver_channel.h"

#include "base/error.h"
#include "hub/on/watch.h"
#include "io/cares.h"
#include "io/resolver_sockets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char configuration[] = "/etc/resolv.conf";

#define DEFAULT_TIMEOUT (2 * ML_SECOND)
#define LONGEST_TIMEOUT (300 * ML_SECOND)
enum { DEFAULT_TRIES = 3 };

enum { CLASS_IN = 1, HEADER_SIZE = 12, NXDOMAIN = 3 };

struct route {
    ares_channel ares; /* NULL: not open */
    struct ml_resolver_sockets sockets;
};

/*
 * UDP and TCP have channels of their own: when a connection breaks, c-ares gives up all questions
 * that are out at the server, and turns to others.
 */
struct ml_resolver_service {
    struct ml_resolver_config config;
    struct route datagrams;
    struct route streams; /* opened at the first answer that is cut short */
};

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
    *channel =
        (struct ml_resolver_channel){.hub = hub, .given_timeout = timeout, .given_tries = tries};
    int error = copy_addresses(&channel->servers, servers);
    return error == 0 ? ml_text_file_init(&channel->file, servers->count > 0 ? "" : configuration)
                      : error;
}

void ml_resolver_channel_release(struct ml_resolver_channel *channel)
{
    ml_addresses_release(&channel->servers);
    ml_text_file_release(&channel->file);
}

/* c-ares 1.18 does not distinguish servers that failed from servers that refused or could not be
 * reached. */
static int error_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
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

/* With given servers, names are asked for as they are; otherwise the system's configuration
 * decides. */
static int configure(const struct ml_resolver_channel *channel, struct ml_resolver_config *config)
{
    if (channel->servers.count == 0)
        return ml_resolver_config_read(config, channel->file.text);
    *config = (struct ml_resolver_config){0};
    return copy_addresses(&config->servers, &channel->servers);
}

static void decide(const struct ml_resolver_channel *channel, struct ml_resolver_config *config)
{
    if (channel->given_timeout > 0)
        config->timeout = channel->given_timeout;
    if (config->timeout == 0)
        config->timeout = DEFAULT_TIMEOUT;
    config->timeout = ml_time_earlier(config->timeout, LONGEST_TIMEOUT);
    if (channel->given_tries > 0)
        config->tries = channel->given_tries;
    if (config->tries == 0)
        config->tries = DEFAULT_TRIES;
}

/* How long c-ares waits for an answer to its last try. */
static ml_time patience_of(const struct ml_resolver_config *config)
{
    ml_time span = config->timeout;
    for (int i = 1; i < config->tries && span < LONGEST_TIMEOUT; i++)
        span *= 2;
    return span;
}

/* flag: ARES_FLAG_USEVC or ARES_FLAG_IGNTC. Everything is set, so that c-ares reads no file and no
 * environment. Hosts files are read by io/hosts.h, and search lists by io/lookup.h. */
static int make_ares(const struct ml_resolver_config *config, int flag, struct route *route)
{
    char lookups[] = "b";
    struct in_addr none = {.s_addr = 0};
    struct ares_options options = {
        .flags = ARES_FLAG_NOALIASES | ARES_FLAG_NOSEARCH | flag,
        .timeout = (int)(config->timeout / ML_MILLISECOND),
        .tries = config->tries,
        .ndots = 1,
        .servers = &none, /* ml_resolver_sockets_init() puts numbers in their place */
        .nservers = 1,
        .lookups = lookups,
        .sock_state_cb = ml_resolver_sockets_state,
        .sock_state_cb_data = &route->sockets,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
               ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_LOOKUPS |
               ARES_OPT_SOCK_STATE_CB;
    mask |= config->rotates ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE;
    return error_of(ares_init_options(&route->ares, &options, mask));
}

static void close_route(struct route *route)
{
    if (route->ares != NULL)
        ares_destroy(route->ares);
    route->ares = NULL;
}

static int open_route(const struct ml_resolver_channel *channel,
                      const struct ml_resolver_config *config, int flag, struct route *route)
{
    int error = make_ares(config, flag, route);
    if (error == 0)
        error = ml_resolver_sockets_init(&route->sockets, channel->hub, route->ares,
                                         &config->servers, patience_of(config));
    if (error != 0)
        close_route(route);
    return error;
}

static void free_service(struct ml_resolver_service *service)
{
    close_route(&service->datagrams);
    close_route(&service->streams);
    ml_resolver_config_release(&service->config);
    free(service);
}

static int make(struct ml_resolver_channel *channel, struct ml_resolver_service **result)
{
    struct ml_resolver_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return -ENOMEM;
    int error = configure(channel, &service->config);
    if (error == 0) {
        decide(channel, &service->config);
        error = open_route(channel, &service->config, ARES_FLAG_IGNTC, &service->datagrams);
    }
    if (error != 0)
        free_service(service);
    *result = error == 0 ? service : NULL;
    return error;
}

static void serve_with(struct ml_resolver_channel *channel, struct ml_resolver_service *service)
{
    channel->service = service;
    channel->timeout = service->config.timeout;
}

int ml_resolver_channel_open(struct ml_resolver_channel *channel)
{
    bool is_new;
    struct ml_resolver_service *service;
    int error = ml_text_file_refresh(&channel->file, &is_new);
    if (error == 0)
        error = ml_cares_load();
    if (error == 0)
        error = make(channel, &service);
    if (error == 0)
        serve_with(channel, service);
    return error;
}

void ml_resolver_channel_close(struct ml_resolver_channel *channel)
{
    struct ml_resolver_service *service = channel->service;
    channel->service = NULL;
    free_service(service);
}

void ml_resolver_channel_follow(struct ml_resolver_channel *channel)
{
    bool is_new;
    struct ml_resolver_service *service;
    if (ml_text_file_refresh(&channel->file, &is_new) != 0 || !is_new)
        return;
    if (make(channel, &service) != 0) {
        channel->file.status = (struct stat){0}; /* so that the next call tries again */
        return;
    }
    ml_resolver_channel_close(channel);
    serve_with(channel, service);
}

int ml_resolver_channel_names(const struct ml_resolver_channel *channel, const char *name,
                              struct ml_names *names)
{
    return ml_names_from(names, &channel->service->config, name);
}

/* ---- questions ---- */

/* A number that is hard to guess, and that no other question has. There are far fewer questions
 * than numbers (io/resolver.c). */
static uint16_t take_id(struct ml_resolver_channel *channel)
{
    uint16_t id;
    if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
        id = (uint16_t)ml_clock_now();
    while ((channel->ids[id / 64] >> id % 64 & 1) != 0)
        id++;
    channel->ids[id / 64] |= UINT64_C(1) << id % 64;
    return id;
}

static void give_id_back(struct ml_resolver_channel *channel, uint16_t id)
{
    channel->ids[id / 64] &= ~(UINT64_C(1) << id % 64);
}

/* The error that an answer means. Over TCP it comes here as the server has sent it. */
static int error_in(const unsigned char *answer, size_t size)
{
    enum { RESPONSE = 0x80, CODE = 0x0F };
    if (size < HEADER_SIZE || (answer[2] & RESPONSE) == 0)
        return -ML_EDNS_ANSWER;
    int code = answer[3] & CODE;
    return code == 0 ? 0 : code == NXDOMAIN ? -ML_ENOTFOUND : -ML_EDNS;
}

/* Whether a question failed because this process could not open a socket for it. */
static bool lacks_sockets(const struct route *route)
{
    int error = route->sockets.error;
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

/* route: NULL: the channel is closed. */
static void conclude(struct ml_resolver_query *query, const struct route *route, int error,
                     const unsigned char *answer, size_t size)
{
    struct ml_resolver_service *service = query->channel->service;
    if (error == 0)
        error = error_in(answer, size);
    if (error == -ML_EDNS && route != NULL && lacks_sockets(route))
        error = route->sockets.error;
    if (service != NULL)
        ml_resolver_sockets_forget(&service->datagrams.sockets, query->id);
    give_id_back(query->channel, query->id);
    query->on_answer(query, error, answer, size);
}

static void on_stream_answer(void *data, int status, int timeouts, unsigned char *answer, int size)
{
    (void)timeouts;
    struct ml_resolver_query *query = data;
    struct ml_resolver_service *service = query->channel->service;
    conclude(query, service != NULL ? &service->streams : NULL, error_of(status), answer,
             (size_t)size);
}

/* The callback is always called. */
static void send_on(struct route *route, struct ml_resolver_query *query, ares_callback on_answer)
{
    unsigned char *bytes = NULL;
    int size;
    int status =
        ares_create_query(query->name, CLASS_IN, query->type, query->id, 1, &bytes, &size, 0);
    if (status == ARES_SUCCESS)
        ares_send(route->ares, bytes, size, on_answer, query);
    else
        on_answer(query, status, 0, NULL, 0);
    ares_free_string(bytes);
}

static void send_on_stream(struct ml_resolver_query *query)
{
    struct ml_resolver_service *service = query->channel->service;
    int error = 0;
    if (service->streams.ares == NULL)
        error = open_route(query->channel, &service->config, ARES_FLAG_USEVC, &service->streams);
    if (error == 0)
        send_on(&service->streams, query, on_stream_answer);
    else
        conclude(query, NULL, error, NULL, 0);
}

static bool is_cut_short(const unsigned char *answer, int size)
{
    enum { TRUNCATED = 0x02 };
    return size >= HEADER_SIZE && (answer[2] & TRUNCATED) != 0;
}

static void on_datagram_answer(void *data, int status, int timeouts, unsigned char *answer,
                               int size)
{
    (void)timeouts;
    struct ml_resolver_query *query = data;
    struct ml_resolver_service *service = query->channel->service;
    if (status == ARES_SUCCESS && is_cut_short(answer, size))
        send_on_stream(query);
    else
        conclude(query, service != NULL ? &service->datagrams : NULL, error_of(status), answer,
                 (size_t)size);
}

void ml_resolver_channel_send(struct ml_resolver_channel *channel, struct ml_resolver_query *query)
{
    query->channel = channel;
    query->id = take_id(channel);
    send_on(&channel->service->datagrams, query, on_datagram_answer);
    ml_resolver_sockets_settle(&channel->service->datagrams.sockets);
}

static void tick(struct route *route)
{
    if (route->ares == NULL)
        return;
    ares_process_fd(route->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    ml_resolver_sockets_settle(&route->sockets);
}

void ml_resolver_channel_tick(struct ml_resolver_channel *channel)
{
    tick(&channel->service->datagrams);
    tick(&channel->service->streams);
}
