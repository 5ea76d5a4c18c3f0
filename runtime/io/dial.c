#include "io/dial.h"

#include "base/error.h"
#include "hub/slice.h"
#include "hub/watch.h"
#include "io/local_socket.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static const struct ml_wait_kind dialling = {.text = "the connection of descriptor",
                                             .external = true};

/* RFC 8305, section 5: the recommended Connection Attempt Delay. */
#define ATTEMPT_DELAY (250 * ML_MILLISECOND)

/* One address and its attempt. */
struct attempt {
    struct dial *dial;
    const struct ml_address *address;
    struct ml_watch *watch;
    struct ml_local_path path; /* to which it is bound */
    int fd;                    /* -1: has not begun, or is over */
    bool is_ready;
};

/* On the heap, for watches refer to it; owned by the stream until one of the attempts has won. */
struct dial {
    struct ml_task *task;
    const struct ml_socket_options *options;
    struct ml_addresses addresses;
    size_t count;
    size_t begun;      /* attempts; those before it in the array */
    size_t under_way;  /* of them, those that are not over */
    ml_time next_time; /* when the next one begins, if none succeeds before */
    int error;         /* the most telling so far */
    struct attempt attempts[];
};

/* ---- what the stream is meanwhile ---- */

static void end_attempt(struct attempt *attempt)
{
    if (attempt->fd < 0)
        return;
    ml_watch_close(attempt->watch);
    ml_local_remove(attempt->fd, &attempt->path);
    close(attempt->fd);
    attempt->watch = NULL;
    attempt->fd = -1;
    attempt->dial->under_way--;
}

static void dial_close(struct ml_stream *s)
{
    struct dial *dial = s->layer;
    for (size_t i = 0; i < dial->begun; i++)
        end_attempt(&dial->attempts[i]);
    s->layer = NULL;
    ml_addresses_release(&dial->addresses);
    free(dial);
}

/* Nobody but the task that dials has the stream: it can only be closed. */
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

static int bind_attempt(struct attempt *attempt, const struct ml_address *local)
{
    if (local->size == 0)
        return 0;
    if (local->any.sa_family != attempt->address->any.sa_family)
        return -EAFNOSUPPORT;
    return ml_local_bind(attempt->fd, local, &attempt->path);
}

static int start_connection(struct attempt *attempt)
{
    int error = bind_attempt(attempt, &attempt->dial->options->bind);
    if (error != 0)
        return error;
    int result;
    do
        result = connect(attempt->fd, &attempt->address->any, attempt->address->size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static bool is_connected(int fd)
{
    struct ml_address peer;
    return ml_address_of_peer(&peer, fd) == 0;
}

static int pending_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return -error;
}

/* 0: connected; -EINPROGRESS: not yet; or why not. */
static int state_of(int fd)
{
    if (is_connected(fd))
        return 0;
    int error = pending_error(fd);
    return error != 0 ? error : -EINPROGRESS;
}

/* Sees to it that the task wakes when there is more to know. */
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

/* Looks how an attempt goes: 0: connected; -EINPROGRESS: it is watched; or why it is over. */
static int look_at(struct attempt *attempt)
{
    int error = state_of(attempt->fd);
    if (error == -EINPROGRESS) {
        int failed = watch(attempt);
        error = failed != 0 ? failed : error;
    }
    return error;
}

static int begin(struct attempt *attempt)
{
    struct dial *dial = attempt->dial;
    sa_family_t family = attempt->address->any.sa_family;
    int fd = ml_socket_new(family, SOCK_STREAM);
    if (fd < 0)
        return fd;
    attempt->fd = fd;
    dial->under_way++;
    ml_socket_set_options(fd, family, dial->options);
    int error = start_connection(attempt);
    return error == -EINPROGRESS ? look_at(attempt) : error;
}

/* ---- all of them ---- */

/* There is no way to the address from here: other failures tell more. */
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

/* An attempt has got on: true when it has won. One that has failed calls for the next one at once. */
static bool has_won(struct attempt *attempt, int error)
{
    struct dial *dial = attempt->dial;
    if (error == 0 || error == -EINPROGRESS)
        return error == 0;
    end_attempt(attempt);
    note_failure(dial, error);
    dial->next_time = ML_NEVER_WAIT;
    return false;
}

/* The one among those under way that has succeeded, NULL: none yet. */
static struct attempt *look_for_winner(struct dial *dial)
{
    for (size_t i = 0; i < dial->begun; i++) {
        struct attempt *attempt = &dial->attempts[i];
        if (attempt->fd >= 0 && attempt->is_ready && has_won(attempt, look_at(attempt)))
            return attempt;
    }
    return NULL;
}

/* Begins those whose time has come; returns one that has succeeded at once. */
static struct attempt *begin_due(struct dial *dial, struct ml_hub *hub)
{
    while (dial->begun < dial->count && dial->next_time <= ml_hub_now(hub)) {
        struct attempt *attempt = &dial->attempts[dial->begun++];
        dial->next_time = ml_time_after(ml_hub_now(hub), ATTEMPT_DELAY);
        if (has_won(attempt, begin(attempt)))
            return attempt;
    }
    return NULL;
}

/* Waits for what comes first: news of an attempt, the time for the next, the deadline. */
static int await_news(struct dial *dial, struct ml_hub *hub, ml_time deadline)
{
    if (dial->under_way == 0)
        return dial->error;
    bool is_last = dial->begun == dial->count;
    ml_time until = is_last ? deadline : ml_time_earlier(deadline, dial->next_time);
    int fd = dial->attempts[dial->begun - 1].fd;
    int error = ml_wait(hub, &dialling, fd >= 0 ? (uint32_t)fd : 0, NULL, until);
    return error == -ETIMEDOUT && until < deadline ? 0 : error;
}

static int run(struct dial *dial, struct ml_hub *hub, ml_time deadline, struct attempt **winner)
{
    int error = 0;
    *winner = begin_due(dial, hub);
    while (*winner == NULL && error == 0) {
        error = await_news(dial, hub, deadline);
        if (error == 0)
            *winner = look_for_winner(dial);
        if (error == 0 && *winner == NULL)
            *winner = begin_due(dial, hub);
    }
    return error;
}

/* The first address from `from` on that is of the family, or of any other with `other`. */
static size_t next_of(const struct ml_addresses *addresses, size_t from, sa_family_t family,
                      bool other)
{
    while (from < addresses->count && (addresses->items[from].any.sa_family == family) == other)
        from++;
    return from;
}

/* RFC 8305, section 4: the families by turns, each in its order. */
static void interleave(struct dial *dial)
{
    const struct ml_addresses *addresses = &dial->addresses;
    sa_family_t first = addresses->items[0].any.sa_family;
    size_t at[2] = {0, next_of(addresses, 0, first, true)};
    for (size_t i = 0, turn = 0; i < dial->count; i++, turn = !turn) {
        turn = at[turn] < addresses->count ? turn : !turn;
        dial->attempts[i] =
            (struct attempt){.dial = dial, .address = &addresses->items[at[turn]], .fd = -1};
        at[turn] = next_of(addresses, at[turn] + 1, first, turn);
    }
}

/* Takes the addresses over; NULL: no memory, and they are as they were. */
static struct dial *new_dial(struct ml_hub *hub, struct ml_addresses *addresses,
                             const struct ml_socket_options *options)
{
    size_t count = addresses->count;
    struct dial *dial = calloc(1, sizeof *dial + count * sizeof *dial->attempts);
    if (dial == NULL)
        return NULL;
    dial->task = hub->current;
    dial->options = options;
    dial->count = count;
    dial->next_time = ML_NEVER_WAIT;
    dial->addresses = *addresses;
    *addresses = (struct ml_addresses){0};
    interleave(dial);
    return dial;
}

/* The stream goes on as the winner's connection. */
static int open_winner(struct ml_stream *s, struct attempt *winner)
{
    int fd = winner->fd;
    int family = winner->address->any.sa_family;
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

int ml_dial(struct ml_stream *s, struct ml_addresses *addresses,
            const struct ml_socket_options *options, ml_time deadline)
{
    struct ml_hub *hub = s->io->hub;
    struct attempt *winner;
    int error = deadline == ML_NEVER_WAIT ? 0 : ml_slice_point(hub);
    if (error == 0 && addresses->count == 0)
        error = -ML_ENOTFOUND;
    struct dial *dial = error == 0 ? new_dial(hub, addresses, options) : NULL;
    if (dial == NULL)
        return error != 0 ? error : -ENOMEM;
    ml_slice_spend_call(hub, 0);
    s->layer = dial;
    ml_stream_open(s, &dial_transport);
    error = run(dial, hub, deadline, &winner);
    if (error == 0)
        return open_winner(s, winner);
    ml_stream_close(s);
    return error;
}
