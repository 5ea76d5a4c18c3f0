#include "http/connection.h"

#include "base/check.h"
#include "base/error.h"
#include "http/http1.h"
#include "http/http1_body.h"
#include "http/http1_head.h"
#include "http/http1_peer.h"
#include "hub/wait/slice.h"
#include "io/departure.h"
#include "io/socket.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ml_hub *hub_of(const struct ml_http_connection *c)
{
    return c->server->io->hub;
}

static void on_stop(struct ml_http_connection_link *link)
{
    struct ml_http_connection *c = ml_container_of(link, struct ml_http_connection, link);
    if (c->is_waiting && !ml_stream_has_input(c->stream))
        ml_stream_close(c->stream);
}

void ml_http_connection_open(struct ml_http_connection *c, struct ml_http_server *server,
                             struct ml_stream *stream, void *context)
{
    *c = (struct ml_http_connection){
        .server = server,
        .stream = stream,
        .context = context,
        .out = {.server = server, .stream = stream},
        .began = ml_hub_now(server->io->hub),
        .link = {.stop = on_stop},
    };
    ml_http1_peer_init(c);
    c->head_deadline = ml_time_after(c->began, server->timeouts.head);
    ml_list_insert(&server->connections, &c->link.link);
    server->counters.connections++;
    server->counters.open++;
}

void ml_http_connection_ask(struct ml_http_connection *c, bool is_asked)
{
    c->is_waiting = is_asked;
    c->head_deadline = ml_time_after(ml_hub_now(hub_of(c)), c->server->timeouts.head);
}

void ml_http_connection_hand_over(struct ml_http_connection *c)
{
    ml_list_remove(&c->link.link);
    c->server->counters.connections--;
    c->server->counters.open--;
}

/* ---- the current request ---- */

static int take_request(struct ml_http_connection *c)
{
    if (c->current != NULL)
        return 0;
    c->current = ml_http1_take(c->server);
    c->seen = 0;
    return c->current != NULL ? 0 : -ENOMEM;
}

static void release_exchange(struct ml_http_exchange *x)
{
    ml_http1_give(x->server, ml_http1_of(x));
}

/* Where other tasks than the handler's still wait in calls, the last of them gives it. */
static void give_request(struct ml_http_connection *c)
{
    struct ml_http1 *r = c->current;
    c->current = NULL;
    if (r == NULL)
        return;
    ml_http1_peer_forget(c);
    if (r->x.carrier != NULL && r->x.calls > 0)
        r->x.left = release_exchange;
    else
        ml_http1_give(c->server, r);
}

/* The head's bytes leave the stream's input and stay with the request. */
static int keep_head(struct ml_http_connection *c, size_t size)
{
    int error = ml_http1_keep_head(c->server, c->current, ml_buffer_data(&c->stream->in), size);
    if (error == 0)
        ml_stream_consume(c->stream, size);
    return error;
}

static void begin_exchange(struct ml_http_connection *c)
{
    struct ml_http1 *r = c->current;
    struct ml_http_server *server = c->server;
    struct ml_http_exchange *x = &r->x;
    r->connection = c;
    memset(x, 0, offsetof(struct ml_http_exchange, head));
    x->carrier = &ml_http1_carrier;
    x->server = server;
    x->stream = c->stream;
    x->context = c->context;
    x->scheme = c->stream->tls != NULL ? "https" : "http";
    x->max_body = server->max_body;
    x->read_timeout = server->timeouts.read;
    x->write_timeout = server->timeouts.write;
    x->began = c->head_deadline - server->timeouts.head;
    x->version = x->head.version;
    x->on_gone = server->on_gone;
    x->is_head = x->head.method_id == ML_HTTP_HEAD;
    c->stream->write_timeout = server->timeouts.write;
    c->stream->is_patient = true;
    ml_http1_begin_body(r);
    server->counters.requests++;
    server->counters.in_flight++;
    c->served++;
}

/* The outcome of an attempt to get at a request. */
enum step {
    BEGUN, /* there is one, for the handler; or one that is refused, with its answer */
    OVER,  /* there will be none */
    MORE   /* it is not whole yet */
};

/* ---- answers without a handler ---- */

/* Answers what is no request, and ends the connection: BEGUN, the exchange refused; or an error. As
 * what else is not inlined here, it has a frame that a connection which waits is not to hold. */
static __attribute__((noinline)) int refuse(struct ml_http_connection *c, int status,
                                            const char *text)
{
    char body[160];
    int size = snprintf(body, sizeof body, "%s\n", text);
    c->current->x.must_close = c->current->x.is_refused = c->lingers = true;
    c->server->counters.errors++;
    int error = ml_http_exchange_answer(&c->current->x, status, "text/plain; charset=utf-8", body,
                                        (size_t)size);
    return error == 0 ? BEGUN : error;
}

/* The same where there is no head: nothing of it is believed. */
static int refuse_head(struct ml_http_connection *c, int status, const char *text)
{
    ml_http1_clear_head(c->current);
    c->current->x.head.version = 11;
    begin_exchange(c);
    return refuse(c, status, text);
}

/* A client that was given http: in place of https: is told so. */
static int refuse_plain(struct ml_http_connection *c)
{
    int error = take_request(c);
    return error == 0 ? refuse_head(c, 400, "this port speaks TLS: the URL begins with https:")
                      : error;
}

static int refuse_busy(struct ml_http_connection *c)
{
    c->server->counters.refused++;
    c->current->x.is_refused = true;
    int error = ml_http_exchange_answer_busy(&c->current->x);
    return error == 0 ? BEGUN : error;
}

/* ---- receiving ---- */

/* Looks for a head in the input: BEGUN, MORE or an error. */
static __attribute__((noinline)) int parse(struct ml_http_connection *c)
{
    struct ml_buffer *in = &c->stream->in;
    int error = take_request(c);
    if (error != 0)
        return error;
    size_t size = ml_buffer_size(in);
    int length = ml_http_parse_request(&c->current->x.head, ml_buffer_data(in), size, c->seen,
                                       &c->server->limits);
    c->seen = (uint32_t)size;
    if (length == 0)
        return MORE;
    if (length < 0)
        return refuse_head(c, ml_http_error_status(length), ml_http_error_text(length));
    error = keep_head(c, (size_t)length);
    if (error == 0)
        begin_exchange(c);
    return error == 0 ? BEGUN : error;
}

/* When the wait for a head, or for the rest of one, is over. */
static ml_time head_deadline(const struct ml_http_connection *c)
{
    if (c->current != NULL || c->served == 0)
        return c->head_deadline;
    ml_time now = ml_hub_now(hub_of(c));
    return ml_time_earlier(ml_time_after(now, c->server->timeouts.keep_alive),
                           ml_time_after(c->began, c->server->timeouts.age));
}

static __attribute__((noinline)) int late(struct ml_http_connection *c)
{
    bool is_silent = c->current == NULL;
    return is_silent ? OVER : refuse_head(c, 408, "the request did not come in time");
}

/* Waits for input: MORE, OVER, BEGUN (refused, since it did not come in time) or an error. */
static int await_input(struct ml_http_connection *c)
{
    int error = ml_http_outbox_flush(&c->out);
    if (error != 0)
        return error;
    if (c->server->is_stopping && ml_stream_look(c->stream) == -EAGAIN)
        return OVER;
    c->is_waiting = true;
    error = ml_stream_receive_more(c->stream, head_deadline(c));
    c->is_waiting = false;
    if (error == -ETIMEDOUT)
        return late(c);
    if (error == 1 || (error == -ML_ECLOSED && c->server->is_stopping))
        return OVER;
    if (error == 0 && c->current == NULL && c->served > 0)
        c->head_deadline = ml_time_after(ml_hub_now(hub_of(c)), c->server->timeouts.head);
    return error == 0 ? MORE : error;
}

/* Requests that have come together are answered without a wait: each counts, so that a peer that
 * pipelines many does not keep the thread. */
static __attribute__((noinline)) int give_way(struct ml_http_connection *c)
{
    struct ml_hub *hub = hub_of(c);
    ml_slice_spend(hub, ML_SLICE_CALL);
    if (!ml_slice_is_over(hub))
        return 0;
    int error = ml_http_outbox_flush(&c->out);
    return error == 0 && ml_slice_is_over(hub) ? ml_slice_end(hub) : error;
}

static int receive_head(struct ml_http_connection *c)
{
    bool is_pipelined = c->served > 0 && ml_stream_has_input(c->stream);
    int error = is_pipelined ? give_way(c) : 0;
    int result = error == 0 ? MORE : error;
    while (result == MORE) {
        size_t old = c->current != NULL ? c->seen : 0;
        if (ml_buffer_size(&c->stream->in) > old)
            result = parse(c);
        if (result == MORE)
            result = await_input(c);
    }
    return result;
}

/* Refuses for reasons of the server alone: BEGUN or an error. */
static int admit(struct ml_http_connection *c)
{
    if (c->current->x.head.expects_other)
        return refuse(c, 417, "this expectation cannot be met");
    if (ml_http_exchange_is_misdirected(&c->current->x))
        return refuse(c, 421, ML_HTTP_MISDIRECTED);
    return c->server->counters.in_flight > c->server->max_in_flight ? refuse_busy(c) : BEGUN;
}

/* Ends a connection: a peer that may be sending still must not lose the last answer to a reset. */
static __attribute__((noinline)) int end(struct ml_http_connection *c)
{
    int error = c->is_over || c->is_cut ? 0 : ml_http_outbox_flush(&c->out);
    bool lingers = c->lingers && !c->is_over && !c->is_cut && error == 0;
    ml_time now = ml_hub_now(hub_of(c));
    if (lingers)
        error =
            ml_stream_finish(c->stream, ML_HTTP1_DRAINED, ml_time_after(now, ML_HTTP1_DRAIN_TIME));
    return error == -ECANCELED ? error : 1;
}

int ml_http_connection_next(struct ml_http_connection *c, struct ml_http_exchange **x)
{
    int result = c->is_last ? OVER : c->is_plain ? refuse_plain(c) : receive_head(c);
    if (result == BEGUN && !c->current->x.is_refused)
        result = admit(c);
    if (result == BEGUN)
        *x = &c->current->x;
    return result == OVER ? end(c) : result;
}

/* ---- the end of an exchange ---- */

/* The input goes on with the next request, or the connection is on its last. A peer that has not
 * said itself that it is done may be sending still. */
static int clear_input(struct ml_http_connection *c)
{
    struct ml_http_exchange *x = &c->current->x;
    int result = 0;
    if (!x->must_close && !c->is_last && !x->is_body_read)
        result = ml_http1_drain(c->current);
    c->is_last |= x->must_close || result != 0;
    if (c->is_last)
        c->lingers = c->lingers || !x->is_body_read || x->head.keep_alive;
    return result == 1 ? 0 : result;
}

int ml_http_connection_finish(struct ml_http_connection *c)
{
    struct ml_http_exchange *x = &c->current->x;
    if (x->phase != ML_HTTP_COMPLETE)
        x->carrier->abort(x);
    c->is_last |= x->calls > 0; /* of tasks that may still read what comes, or write */
    int error = clear_input(c);
    c->server->counters.in_flight--;
    give_request(c);
    return error;
}

/* ---- the end of a connection ---- */

/* Where the end of the connection is the end of the answer, one that is not whole ends with a
 * reset. */
static void cut(struct ml_http_connection *c)
{
    if (ml_stream_is_open(c->stream) && ml_fd_is_open(&c->stream->fd))
        ml_socket_reset_on_close(c->stream->fd.number);
}

void ml_http_connection_close(struct ml_http_connection *c)
{
    if (!ml_link_is_in_list(&c->link.link))
        return;
    ml_list_remove(&c->link.link);
    c->server->counters.open--;
    if (c->current != NULL && c->current->x.carrier != NULL)
        c->server->counters.in_flight--;
    give_request(c);
    ml_http_outbox_drop(&c->out);
    ml_departure_stop(&c->departure);
    if (c->is_cut)
        cut(c);
    if (!c->is_over)
        ml_stream_close(c->stream);
}
