#include "io/dial.h"

#include "base/error.h"
#include "hub/on/watch.h"
#include "hub/state/ready.h"
#include "hub/wait/slice.h"
#include "io/local_socket.h"
#include "io/socket.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ml_wait_kind dialling = {
    .text = "the connection of descriptor", .target = ML_TARGET_DESCRIPTOR, .external = true};
static const struct ml_wait_kind asking = {.text = "a name server", .external = true};

/* RFC 8305, section 5: the recommended Connection Attempt Delay. */
#define ATTEMPT_DELAY (250 * ML_MILLISECOND)

/* The pause before another try at a server in the Unix domain whose backlog is full, from the first
 * to the longest: the kernel does not report when there is room. */
#define FIRST_PAUSE (ML_MILLISECOND / 2)
#define LONGEST_PAUSE (16 * ML_MILLISECOND)

/* An attempt that is under way. */
struct attempt {
    struct ml_link link; /* in dial->under_way */
    struct dial *dial;
    struct ml_address address;
    struct ml_watch *watch;
    struct ml_local_path path; /* to which it is bound */
    ml_time again;             /* when to call connect() again; ML_FOREVER: need not */
    ml_time pause;             /* the pause before that */
    int fd;                    /* -1: the stream has it */
    bool is_ready;
};

/* On the heap, since watches refer to it; the stream owns it until one of the attempts has won. */
struct dial {
    struct ml_task *task;
    const struct ml_socket_options *options;
    struct ml_lookup *rest; /* more addresses may come from there; NULL: no more */
    struct ml_addresses addresses;
    size_t begun; /* how many of them were tried; the others follow in their order */
    struct ml_link under_way;
    ml_time next_time; /* when the next one begins, if none succeeds before */
    int error;         /* the most telling so far */
};

/* ---- the stream meanwhile ---- */

static void end_attempt(struct attempt *attempt)
{
    ml_watch_close(attempt->watch);
    if (attempt->fd >= 0) {
        ml_local_remove(attempt->fd, &attempt->path);
        close(attempt->fd);
    }
    ml_list_remove(&attempt->link);
    free(attempt);
}

static void dial_close(struct ml_stream *s)
{
    struct dial *dial = s->layer;
    struct ml_link *next;
    for (struct ml_link *link = dial->under_way.next; link != &dial->under_way; link = next) {
        next = link->next;
        end_attempt(ml_container_of(link, struct attempt, link));
    }
    s->layer = NULL;
    ml_lookup_close(dial->rest);
    ml_addresses_release(&dial->addresses);
    free(dial);
}

/* Only the task that dials has the stream, so it can only be closed. */
static const struct ml_transport dial_transport = {.close = dial_close};

/* ---- attempts ---- */

static void on_ready(void *data, int fd, bool readable, bool writable)
{
    (void)fd, (void)readable, (void)writable;
    struct attempt *attempt = data;
    attempt->is_ready = true;
    ml_watch_set(attempt->watch, false, false);
    ml_task_wake(attempt->dial->task, ML_WAKE_EVENT);
}

/* Leaves the choice of the port to connect(). A port that the kernel chooses when it knows the
 * peer, too, may serve for several peers; bind() would reserve one. */
static void leave_port_open(int fd, const struct ml_address *local)
{
    if (!ml_address_is_local(local) && ml_address_port(local) == 0)
        ml_socket_set_flag(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, true);
}

static int bind_attempt(struct attempt *attempt, const struct ml_address *local)
{
    if (local->size == 0)
        return 0;
    if (local->any.sa_family != attempt->address.any.sa_family)
        return -EAFNOSUPPORT;
    leave_port_open(attempt->fd, local);
    return ml_local_bind(attempt->fd, local, &attempt->path);
}

/* 0; -EINPROGRESS, also when the backlog of a server in the Unix domain has no room; or the error.
 */
static int call_connect(struct attempt *attempt)
{
    int result;
    do
        result = connect(attempt->fd, &attempt->address.any, attempt->address.size);
    while (result != 0 && errno == EINTR);
    int error = result == 0 ? 0 : -errno;
    attempt->again = ML_FOREVER;
    if (error != -EAGAIN || !ml_address_is_local(&attempt->address))
        return error;
    attempt->again = ml_hub_now(attempt->dial->task->hub) + attempt->pause;
    attempt->pause = ml_time_earlier(attempt->pause * 2, LONGEST_PAUSE);
    return -EINPROGRESS;
}

static int start_connection(struct attempt *attempt)
{
    int error = bind_attempt(attempt, &attempt->dial->options->bind);
    return error == 0 ? call_connect(attempt) : error;
}

static bool is_connected(int fd)
{
    struct ml_address peer;
    return ml_address_of_peer(&peer, fd) == 0;
}

/*
 * Two sockets that connect to each other at the same time are connected (RFC 9293, section 3.5),
 * and so is one whose port, chosen by the kernel, happens to be the one that it connects to. Then
 * no server listens there. A reset leaves the port free for the server that may come.
 */
static bool is_its_own_peer(int fd)
{
    static const struct linger at_once = {.l_onoff = 1};
    struct ml_address own, peer;
    if (ml_address_of_socket(&own, fd) != 0 || ml_address_of_peer(&peer, fd) != 0 ||
        ml_address_is_local(&own) || own.size != peer.size ||
        memcmp(&own.any, &peer.any, own.size) != 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return true;
}

/* 0: connected; -EINPROGRESS: not yet; or the error. */
static int state_of(int fd)
{
    if (is_connected(fd))
        return is_its_own_peer(fd) ? -ECONNREFUSED : 0;
    int error = -ml_socket_option(fd, SO_ERROR, 0);
    return error != 0 ? error : -EINPROGRESS;
}

/* Arranges that the task wakes when there is news of the attempt. */
static int watch(struct attempt *attempt)
{
    attempt->is_ready = false;
    if (attempt->watch == NULL)
        attempt->watch = ml_watch_open(attempt->dial->task->hub, attempt->fd, on_ready, attempt);
    if (attempt->watch == NULL)
        return -ENOMEM;
    ml_watch_set(attempt->watch, false, true);
    return 0;
}

/* Checks an attempt that has news, or is new. 0: connected; -EINPROGRESS: more is to come; or the
 * error that ended it. */
static int look_at(struct attempt *attempt)
{
    int error = state_of(attempt->fd);
    if (error == -EINPROGRESS) {
        int failed = watch(attempt);
        error = failed != 0 ? failed : error;
    }
    return error;
}

static int go_on(struct attempt *attempt, int error)
{
    bool is_to_be_seen = error == 0 || (error == -EINPROGRESS && attempt->again == ML_FOREVER);
    return is_to_be_seen ? look_at(attempt) : error;
}

/* 0, with a new attempt among those under way, or -ENOMEM, -EMFILE and the like. */
static int new_attempt(struct dial *dial, const struct ml_address *address, struct attempt **result)
{
    int fd = ml_socket_new(address->any.sa_family, SOCK_STREAM);
    struct attempt *attempt = fd >= 0 ? calloc(1, sizeof *attempt) : NULL;
    *result = attempt;
    if (attempt == NULL) {
        if (fd >= 0)
            close(fd);
        return fd >= 0 ? -ENOMEM : fd;
    }
    *attempt = (struct attempt){
        .dial = dial, .address = *address, .fd = fd, .again = ML_FOREVER, .pause = FIRST_PAUSE};
    ml_list_insert(&dial->under_way, &attempt->link);
    return 0;
}

/* ---- all of them ---- */

/* Whether the error says only that there is no way to the address from here: other failures tell
 * more. */
static bool says_little(int error)
{
    return error == 0 || error == -ENETUNREACH || error == -EHOSTUNREACH ||
           error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

static void note_failure(struct dial *dial, int error)
{
    if (dial->error == 0 || (says_little(dial->error) && !says_little(error)))
        dial->error = error;
}

/* Notes the failure of an attempt; the next one begins at once. */
static void fail(struct dial *dial, int error)
{
    note_failure(dial, error);
    dial->next_time = ML_NEVER_WAIT;
}

/* Handles the progress of an attempt: true when it has won. */
static bool has_won(struct attempt *attempt, int error)
{
    struct dial *dial = attempt->dial;
    if (error == 0 || error == -EINPROGRESS)
        return error == 0;
    end_attempt(attempt);
    fail(dial, error);
    return false;
}

static bool has_news(struct attempt *attempt, ml_time now, int *error)
{
    if (attempt->again <= now)
        *error = go_on(attempt, call_connect(attempt));
    else if (attempt->is_ready)
        *error = look_at(attempt);
    else
        return false;
    return true;
}

/* The attempt under way that has succeeded, NULL: none yet. */
static struct attempt *look_for_winner(struct dial *dial, struct ml_hub *hub)
{
    struct ml_link *next;
    int error;
    for (struct ml_link *link = dial->under_way.next; link != &dial->under_way; link = next) {
        struct attempt *attempt = ml_container_of(link, struct attempt, link);
        next = link->next;
        if (has_news(attempt, ml_hub_now(hub), &error) && has_won(attempt, error))
            return attempt;
    }
    return NULL;
}

/* Begins the next attempt; NULL: it has not succeeded at once. */
static struct attempt *begin_next(struct dial *dial)
{
    struct attempt *attempt;
    const struct ml_address *address = &dial->addresses.items[dial->begun++];
    int error = new_attempt(dial, address, &attempt);
    if (error != 0) {
        fail(dial, error);
        return NULL;
    }
    ml_socket_set_options(attempt->fd, address->any.sa_family, dial->options);
    return has_won(attempt, go_on(attempt, start_connection(attempt))) ? attempt : NULL;
}

/* Begins the attempts whose time has come; returns one that has succeeded at once. */
static struct attempt *begin_due(struct dial *dial, struct ml_hub *hub)
{
    struct attempt *winner = NULL;
    while (winner == NULL && dial->begun < dial->addresses.count &&
           dial->next_time <= ml_hub_now(hub)) {
        dial->next_time = ml_time_after(ml_hub_now(hub), ATTEMPT_DELAY);
        winner = begin_next(dial);
    }
    return winner;
}

/* The time of the next action, if nothing happens before. */
static ml_time time_to_act(const struct dial *dial)
{
    ml_time time = dial->begun < dial->addresses.count ? dial->next_time : ML_FOREVER;
    for (const struct ml_link *link = dial->under_way.next; link != &dial->under_way;
         link = link->next)
        time = ml_time_earlier(time, ml_container_of(link, struct attempt, link)->again);
    return time;
}

/* The descriptor that reports name for the wait: the newest. */
static uint32_t descriptor_of(const struct dial *dial)
{
    const struct ml_link *last = dial->under_way.prev;
    return last != &dial->under_way ? (uint32_t)ml_container_of(last, struct attempt, link)->fd : 0;
}

/* Waits for the first of: news of an attempt, more addresses, the time for the next, the deadline.
 */
static int await_news(struct dial *dial, struct ml_hub *hub, ml_time deadline)
{
    bool is_idle = ml_list_is_empty(&dial->under_way);
    if (is_idle && dial->rest == NULL)
        return dial->error;
    ml_time until = ml_time_earlier(deadline, time_to_act(dial));
    struct ml_link *queue = dial->rest != NULL ? &dial->rest->queue : NULL;
    int error = ml_wait(hub, is_idle ? &asking : &dialling, descriptor_of(dial), queue, until);
    return error == -ETIMEDOUT && until < deadline ? 0 : error;
}

/* ---- their order ---- */

/* RFC 8305, section 4: the families by turns, each in its order. Attempts that have begun stay. */
static void interleave(struct ml_addresses *addresses, size_t begun)
{
    struct ml_address *items = addresses->items;
    for (size_t i = begun > 0 ? begun : 1; i < addresses->count; i++) {
        sa_family_t last = items[i - 1].any.sa_family;
        size_t next = i;
        while (next < addresses->count && items[next].any.sa_family == last)
            next++;
        if (next == addresses->count)
            break;
        struct ml_address chosen = items[next];
        memmove(&items[i + 1], &items[i], (next - i) * sizeof *items);
        items[i] = chosen;
    }
}

/* Adds the addresses that have come since. 0 or -ENOMEM. */
static int take_rest(struct dial *dial)
{
    struct ml_addresses more = {0};
    if (dial->rest == NULL)
        return 0;
    int error = ml_resolve_rest(dial->rest, ml_address_port(&dial->addresses.items[0]), &more);
    if (error != -EAGAIN) {
        ml_lookup_close(dial->rest);
        dial->rest = NULL;
    }
    error = error == -EAGAIN ? 0 : error;
    for (size_t i = 0; i < more.count && error == 0; i++)
        error = ml_addresses_add(&dial->addresses, &more.items[i]);
    if (more.count > 0)
        interleave(&dial->addresses, dial->begun);
    ml_addresses_release(&more);
    return error;
}

/* ---- ml_dial() ---- */

static int run(struct dial *dial, struct ml_hub *hub, ml_time deadline, struct attempt **winner)
{
    int error = 0;
    *winner = begin_due(dial, hub);
    while (*winner == NULL && error == 0) {
        error = await_news(dial, hub, deadline);
        if (error == 0)
            *winner = look_for_winner(dial, hub);
        if (error == 0 && *winner == NULL)
            error = take_rest(dial);
        if (error == 0 && *winner == NULL)
            *winner = begin_due(dial, hub);
    }
    return error;
}

/* Takes the addresses over; NULL: no memory, and they are as they were. */
static struct dial *new_dial(struct ml_hub *hub, struct ml_addresses *addresses,
                             struct ml_lookup *rest, const struct ml_socket_options *options)
{
    struct dial *dial = calloc(1, sizeof *dial);
    if (dial == NULL)
        return NULL;
    dial->task = hub->current;
    dial->options = options;
    dial->rest = rest;
    dial->next_time = ML_NEVER_WAIT;
    ml_list_init(&dial->under_way);
    dial->addresses = *addresses;
    *addresses = (struct ml_addresses){0};
    interleave(&dial->addresses, 0);
    return dial;
}

/* The stream goes on as the winner's connection. */
static int open_winner(struct ml_stream *s, struct attempt *winner)
{
    int fd = winner->fd;
    int family = winner->address.any.sa_family;
    struct ml_local_path path = winner->path;
    ml_watch_close(winner->watch);
    winner->watch = NULL;
    winner->fd = -1;
    ml_stream_close(s);
    int error = ml_socket_open_family(s, fd, family);
    if (error == 0 && ml_stream_is_local(s))
        *ml_local_socket_path(s) = path;
    return error;
}

int ml_dial(struct ml_stream *s, struct ml_addresses *addresses, struct ml_lookup *rest,
            const struct ml_socket_options *options, ml_time deadline)
{
    struct ml_hub *hub = s->io->hub;
    struct attempt *winner;
    int error = ml_slice_point_until(hub, deadline);
    if (error == 0 && addresses->count == 0)
        error = -ML_ENOTFOUND;
    struct dial *dial = error == 0 ? new_dial(hub, addresses, rest, options) : NULL;
    if (dial == NULL) {
        ml_lookup_close(rest);
        return error != 0 ? error : -ENOMEM;
    }
    ml_slice_spend_call(hub, 0);
    s->layer = dial;
    ml_stream_open(s, &dial_transport);
    error = run(dial, hub, deadline, &winner);
    if (error == 0)
        return open_winner(s, winner);
    ml_stream_close(s);
    return error;
}
