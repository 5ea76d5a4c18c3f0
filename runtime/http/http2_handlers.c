#include "http/http2_handlers.h"

#include "http/http2_carrier.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/switch/switch.h"
#include "hub/wait/slice.h"
#include "hub/wait/wait.h"

#include <stdio.h>

void ml_http2_release_if_over(struct ml_http2_stream *s)
{
    if (s->flow.is_closed && !s->is_counted)
        ml_http2_stream_free(s);
}

static void end_exchange(struct ml_http2_stream *s)
{
    struct ml_http_server *server = s->peer->server;
    if (s->x.phase != ML_HTTP_COMPLETE)
        s->x.carrier->abort(&s->x);
    server->counters.in_flight--;
    ml_http2_flow_drop_input(&s->flow);
}

/* Bytes of an unread body, and the time that is left for them. */
enum { DRAINED = 256 * 1024 };
#define DRAIN_TIME ML_SECOND

/* The rest of the request may come after the answer: a reset at once makes some clients (curl 7.88)
 * lose the answer that came just before it. */
static void drain(struct ml_http2_stream *s)
{
    struct ml_http2_flow *f = &s->flow;
    if (s->x.phase == ML_HTTP_COMPLETE && !s->x.is_refused && !f->input_ended) {
        ml_time now = ml_hub_now(s->peer->server->io->hub);
        ml_http2_flow_await_dropped(f, DRAINED, ml_time_after(now, DRAIN_TIME));
    }
    s->is_counted = false;
    if (s->is_answered && !f->input_ended)
        ml_http2_flow_reset(f, NGHTTP2_NO_ERROR);
}

static void wake_stream(struct ml_http_exchange *x)
{
    ml_wake_all(x->server->io->hub, &ml_http2_stream_of(x)->flow.waiters);
}

/* Calls of tasks that the handler has left behind end, before the stream is let go of. */
static void end_calls(struct ml_http2_stream *s)
{
    static const struct ml_wait_kind kind = {.text = "the calls of a handler's tasks"};
    struct ml_hub *hub = s->peer->server->io->hub;
    if (s->x.calls == 0)
        return;
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
    s->x.left = wake_stream;
    s->flow.is_abandoned = true;
    ml_wake_all(hub, &s->flow.waiters);
    while (s->x.calls > 0)
        if (shield == NULL || ml_wait(hub, &kind, 0, &s->flow.waiters, ML_FOREVER) != 0)
            ml_pass(hub);
    s->flow.is_abandoned = false;
    if (shield != NULL)
        ml_scope_close(hub, shield);
}

/* A stream that was reset before its turn came is not worth a handler; one that was refused is only
 * logged. */
static bool handle(struct ml_http2_stream *s, void *context)
{
    struct ml_http_server *server = s->peer->server;
    struct ml_hub *hub = server->io->hub;
    int error = 0;
    s->x.context = context;
    bool is_worth_it = !s->flow.is_closed || s->x.is_refused;
    s->scope = !is_worth_it ? NULL : ml_scope_open(hub, ML_SCOPE_PLAIN, ML_FOREVER);
    if (s->scope != NULL) {
        s->scope_serial = s->scope->serial;
        error = server->handle(context, &s->x);
        ml_scope_close(hub, s->scope);
        s->scope = NULL;
    }
    end_exchange(s);
    return error == 0;
}

/* False: the task is of no use any more. */
static bool run_stream(struct ml_http2_stream *s, void *context)
{
    struct ml_http2_peer *peer = s->peer;
    bool goes_on = handle(s, context);
    end_calls(s);
    drain(s);
    ml_http2_release_if_over(s);
    peer->running--;
    return goes_on;
}

/* ---- tasks ---- */

static struct ml_http2_stream *first_pending(const struct ml_http2_peer *peer)
{
    return ml_container_of(peer->pending.next, struct ml_http2_stream, turn);
}

static const struct ml_http_job handlers;

/* Ensures that a task will take the requests that wait for one. 0 or an error. */
static int ensure_heir(struct ml_http2_peer *peer)
{
    int error = 0;
    if (peer->has_heir || ml_list_is_empty(&peer->pending))
        return 0;
    peer->has_heir = true;
    peer->tasks++;
    error = peer->server->spawn(peer->server, &handlers, peer);
    if (error != 0) {
        peer->has_heir = false;
        peer->tasks--;
    }
    return error;
}

/* No task will take it. */
static void give_up(struct ml_http2_stream *s)
{
    ml_list_remove(&s->turn);
    s->is_counted = false;
    s->peer->running--;
    s->peer->server->counters.in_flight--;
    if (!s->x.is_refused)
        ml_http2_flow_reset(&s->flow, NGHTTP2_REFUSED_STREAM);
    ml_http2_release_if_over(s);
}

/* Requests that have come together run one behind the other without a wait, as those of a
 * connection of HTTP/1 do. */
static bool give_way(struct ml_hub *hub)
{
    ml_slice_spend(hub, ML_SLICE_CALL);
    return ml_slice_point(hub) == 0;
}

/* A task that runs handlers ends: another takes the requests that wait. */
static void end_task(struct ml_http2_peer *peer)
{
    while (!ml_list_is_empty(&peer->pending) && ensure_heir(peer) != 0)
        give_up(first_pending(peer));
    if (--peer->tasks == 0)
        ml_wake_all(peer->server->io->hub, &peer->session.ends);
}

/* The body of a task that runs handlers, until no request waits for one. If one of them waits, the
 * heir takes those that wait behind it. */
static void run_handlers(void *context, void *argument)
{
    struct ml_http2_peer *peer = argument;
    bool goes_on = true;
    peer->has_heir = false;
    while (goes_on && !ml_list_is_empty(&peer->pending)) {
        struct ml_http2_stream *s = first_pending(peer);
        ml_list_remove(&s->turn);
        ensure_heir(peer);
        goes_on = run_stream(s, context) && give_way(peer->server->io->hub);
    }
    end_task(peer);
}

/* The heir was cancelled before it began: with it the request that it would have handled first, as
 * if that had begun. So a program that cancels every heir comes to an end of them. */
static void drop_handlers(void *argument)
{
    struct ml_http2_peer *peer = argument;
    peer->has_heir = false;
    if (!ml_list_is_empty(&peer->pending))
        give_up(first_pending(peer));
    end_task(peer);
}

static const struct ml_http_job handlers = {run_handlers, drop_handlers};

static void queue(struct ml_http2_connection *c, struct ml_http2_stream *s)
{
    struct ml_http_server *server = c->peer.server;
    s->is_counted = true;
    c->peer.running++;
    server->counters.in_flight++;
    ml_list_insert(&c->peer.pending, &s->turn);
    if (ensure_heir(&c->peer) != 0)
        give_up(s);
}

/* It was answered without a handler, or that failed; the access log is a task's work. */
static void end_refused(struct ml_http2_connection *c, struct ml_http2_stream *s, int error)
{
    if (error != 0)
        s->x.carrier->abort(&s->x);
    ml_http2_flow_drop_input(&s->flow);
    s->x.is_refused = true;
    if (c->peer.server->wants_refused)
        queue(c, s);
}

static void refuse(struct ml_http2_connection *c, struct ml_http2_stream *s, int status,
                   const char *text)
{
    char body[160];
    size_t size = (size_t)snprintf(body, sizeof body, "%s\n", text);
    end_refused(c, s,
                ml_http_exchange_answer(&s->x, status, "text/plain; charset=utf-8", body, size));
}

void ml_http2_begin_request(struct ml_http2_connection *c, struct ml_http2_stream *s, int problem)
{
    struct ml_http_server *server = c->peer.server;
    ml_http2_carrier_begin(s);
    server->counters.requests++;
    if (problem != 0) {
        server->counters.errors++;
        refuse(c, s, ml_http_error_status(problem), ml_http_error_text(problem));
    } else if (s->x.head.method_id == ML_HTTP_CONNECT) {
        refuse(c, s, 501, "this server is no proxy");
    } else if (s->x.head.expects_other) {
        refuse(c, s, 417, "this expectation cannot be met");
    } else if (ml_http_exchange_is_misdirected(&s->x)) {
        server->counters.errors++;
        refuse(c, s, 421, ML_HTTP_MISDIRECTED);
    } else if (server->counters.in_flight >= server->max_in_flight) {
        server->counters.refused++;
        end_refused(c, s, ml_http_exchange_answer_busy(&s->x));
    } else {
        queue(c, s);
    }
}
