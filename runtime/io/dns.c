#include "io/dns.h"

#include "base/check.h"
#include "base/error.h"
#include "hub/scope.h"
#include "hub/wait.h"
#include "hub/watch.h"

#include <ares.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct ml_wait_kind answer = {.text = "a name server", .external = true};

/* A socket of c-ares and its watch. */
struct resolver_socket {
    struct resolver_socket *next;
    struct ml_watch *watch;
    ares_socket_t fd;
};

struct ml_resolver {
    ares_channel channel;
    struct ml_hub *hub;
    struct resolver_socket *sockets;
};

/* One question. On the heap, for c-ares may answer after the task has gone. */
struct question {
    struct ml_task *asker; /* NULL: gone */
    struct ares_addrinfo *result;
    int status; /* of c-ares */
    bool is_answered;
};

/* ---- the channel ---- */

static void on_socket_ready(void *data, int fd, bool readable, bool writable)
{
    struct ml_resolver *resolver = data;
    ares_process_fd(resolver->channel, readable ? fd : ARES_SOCKET_BAD,
                    writable ? fd : ARES_SOCKET_BAD);
}

static struct resolver_socket **find_socket(struct ml_resolver *resolver, ares_socket_t fd)
{
    struct resolver_socket **place = &resolver->sockets;
    while (*place != NULL && (*place)->fd != fd)
        place = &(*place)->next;
    return place;
}

static struct resolver_socket *add_socket(struct ml_resolver *resolver, ares_socket_t fd)
{
    struct resolver_socket *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return NULL;
    *entry = (struct resolver_socket){.fd = fd, .next = resolver->sockets};
    entry->watch = ml_watch_open(resolver->hub, fd, on_socket_ready, resolver);
    if (entry->watch == NULL) {
        free(entry);
        return NULL;
    }
    resolver->sockets = entry;
    return entry;
}

static void remove_socket(struct resolver_socket **place)
{
    struct resolver_socket *entry = *place;
    *place = entry->next;
    ml_watch_close(entry->watch);
    free(entry);
}

/* c-ares tells what it waits for on each of its sockets; nothing, just before it closes one. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct ml_resolver *resolver = data;
    struct resolver_socket **place = find_socket(resolver, fd);
    if (!readable && !writable) {
        if (*place != NULL)
            remove_socket(place);
        return;
    }
    struct resolver_socket *entry = *place != NULL ? *place : add_socket(resolver, fd);
    if (entry != NULL)
        ml_watch_set(entry->watch, readable, writable);
}

static int error_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENOMEM:
        return -ENOMEM;
    case ARES_ETIMEOUT:
        return -ETIMEDOUT;
    default:
        return -ML_ENOTFOUND;
    }
}

static int open_resolver(struct ml_io *io)
{
    if (io->resolver != NULL)
        return 0;
    struct ml_resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL)
        return -ENOMEM;
    resolver->hub = io->hub;
    struct ares_options options = {.sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = resolver};
    int status = ares_init_options(&resolver->channel, &options, ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        free(resolver);
        return error_of(status);
    }
    io->resolver = resolver;
    return 0;
}

void ml_resolver_release(struct ml_io *io)
{
    if (io->resolver == NULL)
        return;
    ares_destroy(io->resolver->channel);
    while (io->resolver->sockets != NULL)
        remove_socket(&io->resolver->sockets);
    free(io->resolver);
    io->resolver = NULL;
}

/* ---- a question ---- */

static void free_question(struct question *question)
{
    if (question->result != NULL)
        ares_freeaddrinfo(question->result);
    free(question);
}

static void on_answer(void *data, int status, int timeouts, struct ares_addrinfo *result)
{
    (void)timeouts;
    struct question *question = data;
    question->status = status;
    question->result = result;
    question->is_answered = true;
    if (question->asker != NULL)
        ml_task_wake(question->asker, ML_WAKE_EVENT);
    else
        free_question(question);
}

/* When c-ares wants to be called for its own time-outs. */
static ml_time next_timeout(struct ml_resolver *resolver)
{
    struct timeval span;
    if (ares_timeout(resolver->channel, NULL, &span) == NULL)
        return ML_FOREVER;
    return ml_hub_now(resolver->hub) + (ml_time)span.tv_sec * ML_SECOND +
           (ml_time)span.tv_usec * 1000;
}

/* Waits for the answer; every task that does so keeps c-ares' clock. */
static int await_answer(struct ml_resolver *resolver, struct question *question, ml_time deadline)
{
    int error = 0;
    while (error == 0 && !question->is_answered) {
        ml_time until = ml_time_earlier(deadline, next_timeout(resolver));
        error = ml_wait(resolver->hub, &answer, 0, NULL, until);
        if (error != -ETIMEDOUT)
            continue;
        ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        if (question->is_answered || ml_hub_now(resolver->hub) < deadline)
            error = 0;
    }
    return error;
}

static int copy_result(const struct ares_addrinfo *result, uint16_t port,
                       struct ml_addresses *found)
{
    int error = 0;
    for (struct ares_addrinfo_node *node = result->nodes; node != NULL && error == 0;
         node = node->ai_next) {
        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        struct ml_address address = {.size = node->ai_addrlen};
        memcpy(&address.any, node->ai_addr, node->ai_addrlen);
        ml_address_set_port(&address, port);
        error = ml_addresses_add(found, &address);
    }
    return error == 0 && found->count == 0 ? -ML_ENOTFOUND : error;
}

static int ask(struct ml_io *io, const char *host, uint16_t port, int family, ml_time deadline,
               struct ml_addresses *found)
{
    int error = open_resolver(io);
    struct question *question = error == 0 ? calloc(1, sizeof *question) : NULL;
    if (question == NULL)
        return error != 0 ? error : -ENOMEM;
    struct ares_addrinfo_hints hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    question->asker = io->hub->current;
    ares_getaddrinfo(io->resolver->channel, host, NULL, &hints, on_answer, question);
    error = await_answer(io->resolver, question, deadline);
    if (!question->is_answered) {
        question->asker = NULL;
        return error;
    }
    if (error == 0)
        error = error_of(question->status);
    if (error == 0)
        error = copy_result(question->result, port, found);
    free_question(question);
    return error;
}

/* RFC 6761, section 6.4: names under .invalid do not exist, and no server is to be asked. */
static bool is_invalid(const char *host)
{
    const char *label = strrchr(host, '.');
    return host[0] == '\0' || strcasecmp(label != NULL ? label + 1 : host, "invalid") == 0;
}

int ml_resolve(struct ml_io *io, const char *host, uint16_t port, int family, ml_time deadline,
               struct ml_addresses *found)
{
    struct ml_address number;
    *found = (struct ml_addresses){0};
    int error = ml_cancel_point(io->hub);
    if (error != 0)
        return error;
    if (!ml_address_parse(&number, host, port))
        return is_invalid(host) ? -ML_ENOTFOUND : ask(io, host, port, family, deadline, found);
    if (family != AF_UNSPEC && number.any.sa_family != family)
        return -ML_ENOTFOUND;
    return ml_addresses_add(found, &number);
}

int ml_addresses_add(struct ml_addresses *addresses, const struct ml_address *address)
{
    size_t count = addresses->count + 1;
    struct ml_address *items = realloc(addresses->items, count * sizeof *items);
    if (items == NULL)
        return -ENOMEM;
    items[addresses->count] = *address;
    addresses->items = items;
    addresses->count = count;
    return 0;
}

void ml_addresses_release(struct ml_addresses *addresses)
{
    free(addresses->items);
    *addresses = (struct ml_addresses){0};
}
