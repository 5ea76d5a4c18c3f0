#include "http/http1_peer.h"

#include "base/check.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "io/departure.h"

#include <poll.h>

static struct ml_hub *hub_of(const struct ml_http_connection *c)
{
    return c->server->io->hub;
}

static bool is_cancelled_by_it(const struct ml_http_exchange *x)
{
    if (x->phase == ML_HTTP_HIJACKED || x->phase == ML_HTTP_COMPLETE)
        return false;
    return x->on_gone == ML_HTTP_GONE_CANCEL ||
           (x->on_gone == ML_HTTP_GONE_STREAMING && x->phase == ML_HTTP_HEADED);
}

static void cancel(struct ml_http_connection *c)
{
    if (c->scope != NULL)
        ml_scope_cancel_if_open(c->scope, c->scope_serial);
}

static void left(struct ml_departure *departure)
{
    struct ml_http_connection *c = ml_container_of(departure, struct ml_http_connection, departure);
    c->has_left = true;
    ml_wake_all(hub_of(c), &c->gone_waiters);
    if (c->current != NULL && c->current->x.carrier != NULL && is_cancelled_by_it(&c->current->x))
        cancel(c);
}

void ml_http1_peer_init(struct ml_http_connection *c)
{
    c->departure.left = left;
    ml_list_init(&c->gone_waiters);
}

/* Without memory for a scope, or for the watch, a handler is not cancelled: it finds out when it
 * writes. */
void ml_http1_peer_guard(struct ml_http_connection *c)
{
    c->scope = ml_scope_open(hub_of(c), ML_SCOPE_PLAIN, ML_FOREVER);
    c->scope_serial = c->scope != NULL ? c->scope->serial : 0;
    if (ml_unlikely(c->current->x.on_gone == ML_HTTP_GONE_CANCEL))
        ml_http1_heed(&c->current->x);
}

bool ml_http1_peer_unguard(struct ml_http_connection *c)
{
    struct ml_scope *scope = c->scope;
    c->scope = NULL;
    return scope != NULL && ml_scope_close(hub_of(c), scope).cancelled;
}

void ml_http1_peer_forget(struct ml_http_connection *c)
{
    ml_wake_all(hub_of(c), &c->gone_waiters);
}

/* A peer that leaves from now on, or has left without having been told of, is told of in the next
 * turn of the loop. */
void ml_http1_heed(struct ml_http_exchange *x)
{
    struct ml_http_connection *c = ml_http1_of(x)->connection;
    if (!is_cancelled_by_it(x))
        return;
    int error = ml_departure_watch(&c->departure, x->stream);
    bool is_told = error == 0 && ml_fd_is_open(&x->stream->fd);
    if (is_told ? c->has_left : ml_http1_gone(x))
        cancel(c);
}

/* The end of its output may be in the kernel behind unread input: poll() knows. */
bool ml_http1_gone(struct ml_http_exchange *x)
{
    struct ml_stream *s = x->stream;
    if (!ml_stream_is_open(s) || s->lost != 0 || s->at_end)
        return true;
    if (!ml_fd_is_open(&s->fd))
        return ml_stream_look(s) == 0 && !ml_stream_has_input(s);
    struct pollfd poll_fd = {.fd = s->fd.number, .events = POLLRDHUP};
    return poll(&poll_fd, 1, 0) > 0;
}

int ml_http1_watch(struct ml_http_exchange *x, struct ml_waiter *waiter, ml_time *again)
{
    struct ml_http_connection *c = ml_http1_of(x)->connection;
    (void)again;
    int error = ml_departure_watch(&c->departure, x->stream);
    if (error == 0)
        ml_list_insert(&c->gone_waiters, &waiter->link);
    return error;
}

void ml_http1_unwatch(struct ml_http_exchange *x)
{
    (void)x;
}
