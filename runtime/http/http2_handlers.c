#include "http/http2_handlers.h"

#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/switch/switch.h"
#include "hub/wait/wait.h"

#include <stdio.h>

void ml_http2_release_if_over(struct ml_http2_stream *s)
{
    if (s->flow.is_closed && !s->is_counted)
        ml_http2_stream_free(s);
}

static void end_exchange(struct ml_http2_stream *s, void *context)
{
    struct ml_http_server *server = s->peer->server;
    if (s->x.phase != ML_HTTP_COMPLETE)
        s->x.carrier->abort(&s->x);
    if (server->done != NULL)
        server->done(context, &s->x);
    server->counters.in_flight--;
    ml_http2_flow_drop_input(&s->flow);
}

/* Bytes of a body that nobody has read, and the time that is left for them. */
enum { DRAINED = 256 * 1024 };
#define DRAIN_TIME ML_SECOND

/* The rest of the request may come after the answer: a reset at once makes some clients (curl 7.88)
 * lose the answer that came just before it. */
static void drain(struct ml_http2_stream *s)
{
    struct ml_http2_flow *f = &s->flow;
    ml_time deadline = ml_time_after(ml_hub_now(s->peer->server->io->hub), DRAIN_TIME);
    if (s->x.phase == ML_HTTP_COMPLETE)
        ml_http2_flow_await_dropped(f, DRAINED, deadline);
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

/* A stream that was reset before its turn came is not worth a handler. */
static void handle(struct ml_http2_stream *s, void *context)
{
    struct ml_http_server *server = s->peer->server;
    struct ml_hub *hub = server->io->hub;
    s->x.context = context;
    s->scope = s->flow.is_closed ? NULL : ml_scope_open(hub, ML_SCOPE_PLAIN, ML_FOREVER);
    if (s->scope != NULL) {
        s->scope_serial = s->scope->serial;
        server->handle(context, &s->x);
        ml_scope_close(hub, s->scope);
        s->scope = NULL;
    }
    end_exchange(s, context);
}

/* The body of a handler's task. */
static void run_stream(void *context, void *argument)
{
    struct ml_http2_stream *s = argument;
    struct ml_http2_peer *peer = s->peer;
    handle(s, context);
    end_calls(s);
    drain(s);
    ml_http2_release_if_over(s);
    if (--peer->running == 0)
        ml_wake_all(peer->server->io->hub, &peer->session.ends);
}

/* An answer without a handler. */
static void refuse(struct ml_http2_stream *s, int status, const char *text)
{
    char body[160];
    int size = snprintf(body, sizeof body, "%s\n", text);
    if (ml_http_exchange_answer(&s->x, status, "text/plain; charset=utf-8", body, (size_t)size) !=
        0)
        s->x.carrier->abort(&s->x);
    ml_http2_flow_drop_input(&s->flow);
}

static int spawn(struct ml_http2_connection *c, struct ml_http2_stream *s)
{
    struct ml_http_server *server = c->peer.server;
    s->is_counted = true;
    c->peer.running++;
    server->counters.in_flight++;
    int error = server->spawn(server, run_stream, s);
    if (error != 0) {
        s->is_counted = false;
        c->peer.running--;
        server->counters.in_flight--;
        ml_http2_flow_reset(&s->flow, NGHTTP2_REFUSED_STREAM);
    }
    return error;
}

void ml_http2_begin_request(struct ml_http2_connection *c, struct ml_http2_stream *s, int problem)
{
    struct ml_http_server *server = c->peer.server;
    ml_http2_stream_begin(s);
    server->counters.requests++;
    if (problem != 0) {
        server->counters.errors++;
        refuse(s, ml_http_error_status(problem), ml_http_error_text(problem));
    } else if (s->x.head.method_id == ML_HTTP_CONNECT) {
        refuse(s, 501, "this server is no proxy");
    } else if (s->x.head.expects_other) {
        refuse(s, 417, "this expectation cannot be met");
    } else if (server->counters.in_flight >= server->max_in_flight) {
        server->counters.refused++;
        refuse(s, 503, "too many requests at a time");
    } else {
        spawn(c, s);
    }
}
