#include "http/http2.h"

#include "base/check.h"
#include "base/error.h"
#include "http/connection.h"
#include "http/http2_stream.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/switch/switch.h"
#include "hub/wait/wait.h"
#include "io/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Frames that make work and bring nothing: so many are free, and some more for each answer that was
 * taken and each second. A browser needs a handful in all.
 */
enum { GLITCHES_FREE = 200, GLITCHES_PER_ANSWER = 2, GLITCHES_PER_SECOND = 10 };

/* Bytes of a connection that may come before they are confirmed: handlers read at their own pace,
 * each stream within its own window. */
enum { CONNECTION_WINDOW = 1024 * 1024 };

static const struct ml_wait_kind end_kind = {.text = "the handlers of a connection"};

struct connection {
    struct ml_http2_peer peer;
    struct ml_http_connection_link link; /* among the server's */
    ml_time began;
    ml_time head_deadline; /* of the head that is being received; ML_FOREVER: none is */
    uint64_t glitches;
    bool has_said_goodbye;
};

static struct connection *connection_of(void *user)
{
    return user;
}

static struct ml_http2_stream *stream_of(struct connection *c, int32_t id)
{
    struct ml_http2_session *session = &c->peer.session;
    return session->n->nghttp2_session_get_stream_user_data(session->session, id);
}

static struct ml_hub *hub_of(const struct connection *c)
{
    return c->peer.server->io->hub;
}

/* ---- what a peer may do without getting anywhere ---- */

static uint64_t glitches_allowed(const struct connection *c)
{
    ml_time age = ml_hub_now(hub_of(c)) - c->began;
    return GLITCHES_FREE + c->peer.answered * GLITCHES_PER_ANSWER +
           (uint64_t)(age / ML_SECOND) * GLITCHES_PER_SECOND;
}

/* Counts one; 0, or nghttp2's sign to give the connection up. */
static int glitch(struct connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    if (++c->glitches <= glitches_allowed(c))
        return 0;
    session->n->nghttp2_session_terminate_session(session->session, NGHTTP2_ENHANCE_YOUR_CALM);
    return 0;
}

static void reset(struct connection *c, int32_t id, uint32_t code)
{
    struct ml_http2_session *session = &c->peer.session;
    session->n->nghttp2_submit_rst_stream(session->session, NGHTTP2_FLAG_NONE, id, code);
}

/* ---- handlers ---- */

/* The stream is of no use any more once neither nghttp2 nor a handler has it. */
static void release_if_over(struct ml_http2_stream *s)
{
    if (s->is_closed && !s->is_counted)
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
    ml_http2_stream_drop_input(s);
}

/* A stream that was reset before its turn came is not worth a handler. */
static void handle(struct ml_http2_stream *s, void *context)
{
    struct ml_http_server *server = s->peer->server;
    struct ml_hub *hub = server->io->hub;
    s->x.context = context;
    s->scope = s->is_closed ? NULL : ml_scope_open(hub, ML_SCOPE_PLAIN, ML_FOREVER);
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
    s->is_counted = false;
    release_if_over(s);
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
    ml_http2_stream_drop_input(s);
}

static int spawn(struct connection *c, struct ml_http2_stream *s)
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
        reset(c, s->id, NGHTTP2_REFUSED_STREAM);
    }
    return error;
}

static void begin_request(struct connection *c, struct ml_http2_stream *s, int problem)
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

/* ---- what nghttp2 tells ---- */

/* A new stream, unless the peer keeps more handlers busy than it may. */
static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *c = connection_of(user);
    (void)session;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    c->head_deadline = ml_time_after(ml_hub_now(hub_of(c)), c->peer.server->timeouts.head);
    if (c->peer.running >= ML_HTTP2_STREAMS) {
        reset(c, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return glitch(c);
    }
    struct ml_http2_stream *s =
        ml_http2_stream_new(&c->peer, frame->hd.stream_id, c->peer.server->limits.field_count);
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->peer.session.n->nghttp2_session_set_stream_user_data(c->peer.session.session,
                                                            frame->hd.stream_id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t size, uint8_t flags, void *user)
{
    struct connection *c = connection_of(user);
    struct ml_http2_stream *s = stream_of(c, frame->hd.stream_id);
    (void)session, (void)flags;
    if (s == NULL)
        return 0;
    int error = ml_http2_head_add(&s->coming, (const char *)name, name_size, (const char *)value,
                                  size, c->peer.server->limits.head_size);
    return error == 0 ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int finish_head(struct connection *c, struct ml_http2_stream *s, bool is_whole)
{
    int problem = 0;
    s->has_head = true;
    s->input_ended = is_whole;
    c->head_deadline = ML_FOREVER;
    ml_http_head_init(&s->x.head, s->fields, s->field_room);
    if (ml_http2_head_finish(&s->coming, &s->text, &s->x.head, &c->peer.server->limits, &problem) !=
        0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    begin_request(c, s, problem);
    return 0;
}

static int finish_trailers(struct connection *c, struct ml_http2_stream *s)
{
    const struct ml_http_limits *limits = &c->peer.server->limits;
    int problem = 0;
    s->trailer_fields = calloc(limits->field_count, sizeof *s->trailer_fields);
    if (s->trailer_fields == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    ml_http_head_init(&s->trailers, s->trailer_fields, limits->field_count);
    int error =
        ml_http2_trailers_finish(&s->coming, &s->trailer_text, &s->trailers, limits, &problem);
    if (error != 0 || problem != 0)
        reset(c, s->id, NGHTTP2_PROTOCOL_ERROR);
    return 0;
}

static int on_headers(struct connection *c, const nghttp2_frame *frame)
{
    struct ml_http2_stream *s = stream_of(c, frame->hd.stream_id);
    bool is_whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (s == NULL)
        return 0;
    if (!s->has_head)
        return finish_head(c, s, is_whole);
    int result = finish_trailers(c, s);
    ml_http2_stream_end_input(s);
    return result;
}

static int on_data_end(struct connection *c, const nghttp2_frame *frame)
{
    struct ml_http2_stream *s = stream_of(c, frame->hd.stream_id);
    bool is_whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (is_whole && s != NULL)
        ml_http2_stream_end_input(s);
    bool is_idle = !is_whole && frame->hd.length == 0;
    return is_idle ? glitch(c) : 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *c = connection_of(user);
    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        return on_headers(c, frame);
    case NGHTTP2_DATA:
        return on_data_end(c, frame);
    case NGHTTP2_WINDOW_UPDATE: /* uploads and downloads need them */
        return 0;
    default:
        return glitch(c);
    }
}

static int on_bad_frame(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    (void)session, (void)frame, (void)code;
    return glitch(connection_of(user));
}

/* The connection's window is given back at once, the stream's as the handler reads. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t size, void *user)
{
    struct connection *c = connection_of(user);
    struct ml_http2_stream *s = stream_of(c, id);
    (void)flags;
    c->peer.session.n->nghttp2_session_consume_connection(session, size);
    if (s != NULL && !s->input_dropped)
        return ml_http2_stream_take(s, bytes, size) == 0 ? 0
                                                         : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->peer.session.n->nghttp2_session_consume_stream(session, id, size);
    return 0;
}

/* An answer that is whole before its request is: the rest of that is not wanted. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *c = connection_of(user);
    struct ml_http2_stream *s = stream_of(c, frame->hd.stream_id);
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
                  (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS);
    (void)session;
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        return glitch(c);
    if (is_end) {
        c->peer.answered++;
        if (s != NULL && !s->input_ended)
            reset(c, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct connection *c = connection_of(user);
    struct ml_http2_stream *s = stream_of(c, id);
    (void)session, (void)code;
    if (s == NULL)
        return 0;
    ml_http2_stream_closed(s);
    release_if_over(s);
    return 0;
}

/* ---- the session ---- */

static nghttp2_session_callbacks *make_callbacks(const struct ml_nghttp2 *n)
{
    nghttp2_session_callbacks *calls;
    if (n->nghttp2_session_callbacks_new(&calls) != 0)
        return NULL;
    n->nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
    n->nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    n->nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    n->nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, on_bad_frame);
    n->nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    n->nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_sent);
    n->nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
    return calls;
}

static nghttp2_option *make_options(const struct ml_nghttp2 *n)
{
    nghttp2_option *option;
    if (n->nghttp2_option_new(&option) != 0)
        return NULL;
    n->nghttp2_option_set_no_auto_window_update(option, 1);
    n->nghttp2_option_set_no_closed_streams(option, 1);
    n->nghttp2_option_set_max_settings(option, 32);
    n->nghttp2_option_set_max_outbound_ack(option, 100);
    return option;
}

static int new_session(struct connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    nghttp2_session_callbacks *calls = make_callbacks(session->n);
    nghttp2_option *option = make_options(session->n);
    int error = calls != NULL && option != NULL
                    ? session->n->nghttp2_session_server_new2(&session->session, calls, c, option)
                    : NGHTTP2_ERR_NOMEM;
    if (option != NULL)
        session->n->nghttp2_option_del(option);
    if (calls != NULL)
        session->n->nghttp2_session_callbacks_del(calls);
    return error == 0 ? 0 : -ENOMEM;
}

static int submit_settings(struct connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, ML_HTTP2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, ML_HTTP2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, c->peer.server->limits.head_size},
    };
    int error = session->n->nghttp2_submit_settings(session->session, NGHTTP2_FLAG_NONE, settings,
                                                    sizeof settings / sizeof *settings);
    if (error == 0)
        error = session->n->nghttp2_session_set_local_window_size(
            session->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
    return error == 0 ? 0 : -ENOMEM;
}

static void run_sender(void *context, void *argument)
{
    (void)context;
    ml_http2_session_send(argument);
}

static int start(struct connection *c)
{
    struct ml_http_server *server = c->peer.server;
    int error = new_session(c);
    if (error == 0)
        error = submit_settings(c);
    if (error != 0)
        return error;
    c->peer.session.is_sending = true;
    c->peer.session.has_output = true;
    error = server->spawn(server, run_sender, &c->peer.session);
    c->peer.session.is_sending = error == 0;
    return error;
}

/* ---- which version is spoken ---- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* The protocol that the TLS handshake has chosen. */
static bool has_chosen_http2(struct ml_stream *stream)
{
    const unsigned char *name = NULL;
    unsigned size = 0;
    SSL *ssl = ml_tls_connection(stream);
    if (ssl != NULL)
        ml_tls_openssl(stream)->SSL_get0_alpn_selected(ssl, &name, &size);
    return size == 2 && memcmp(name, "h2", 2) == 0;
}

int ml_http2_is_spoken(struct ml_stream *stream, ml_time deadline)
{
    const size_t whole = sizeof preface - 1;
    int error = 0;
    if (stream->tls != NULL)
        return has_chosen_http2(stream);
    while (error == 0) {
        size_t size = ml_buffer_size(&stream->in);
        size_t common = size < whole ? size : whole;
        if (size > 0 && memcmp(ml_buffer_data(&stream->in), preface, common) != 0)
            return 0;
        if (size >= whole)
            return 1;
        error = ml_stream_receive_more(stream, deadline);
    }
    return error < 0 ? error : 0;
}

/* ---- the life of a connection ---- */

/* No new streams: those there are go on. */
static void say_goodbye(struct connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    if (c->has_said_goodbye || session->session == NULL)
        return;
    c->has_said_goodbye = true;
    session->n->nghttp2_submit_goaway(
        session->session, NGHTTP2_FLAG_NONE,
        session->n->nghttp2_session_get_last_proc_stream_id(session->session), NGHTTP2_NO_ERROR,
        NULL, 0);
    ml_http2_session_kick(session);
}

static void on_stop(struct ml_http_connection_link *link)
{
    struct connection *c = ml_container_of(link, struct connection, link);
    say_goodbye(c);
    if (ml_list_is_empty(&c->peer.streams))
        ml_http2_session_finish(&c->peer.session);
}

/* An idle connection ends after a while; so does one that takes none of the answers it has asked
 * for. Everything else has deadlines of its own. */
static ml_time receive_deadline(const struct connection *c)
{
    const struct ml_http_timeouts *timeouts = &c->peer.server->timeouts;
    ml_time now = ml_hub_now(hub_of(c));
    ml_time deadline = c->head_deadline;
    if (ml_list_is_empty(&c->peer.streams))
        deadline = ml_time_earlier(deadline, ml_time_after(now, timeouts->keep_alive));
    if (c->peer.draining > 0)
        deadline = ml_time_earlier(deadline, ml_time_after(now, timeouts->write));
    return deadline;
}

static bool is_finished(const struct connection *c)
{
    const struct ml_http2_session *session = &c->peer.session;
    bool is_idle = ml_list_is_empty(&c->peer.streams);
    bool wants_nothing = !session->n->nghttp2_session_want_read(session->session) &&
                         !session->n->nghttp2_session_want_write(session->session);
    return session->error != 0 || wants_nothing || (c->has_said_goodbye && is_idle);
}

static int receive_all(struct connection *c)
{
    struct ml_http_server *server = c->peer.server;
    int result = 0;
    while (result == 0 && !is_finished(c)) {
        bool is_old = ml_hub_now(hub_of(c)) - c->began > server->timeouts.age;
        if (server->is_stopping || is_old)
            say_goodbye(c);
        result = ml_http2_session_receive(&c->peer.session, receive_deadline(c));
    }
    return result;
}

/* The peer is gone, or is told to go: what its handlers wait for will not come. */
static void close_streams(struct connection *c, bool is_cancelled)
{
    struct ml_link *link = c->peer.streams.next;
    while (link != &c->peer.streams) {
        struct ml_http2_stream *s = ml_container_of(link, struct ml_http2_stream, link);
        link = link->next;
        if (!s->is_closed)
            ml_http2_stream_closed(s);
        if (is_cancelled && s->scope != NULL)
            ml_scope_cancel_if_open(s->scope, s->scope_serial);
        release_if_over(s);
    }
}

static void await_end(struct connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    struct ml_hub *hub = hub_of(c);
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
    while (c->peer.running > 0 || session->is_sending)
        if (shield == NULL || ml_wait(hub, &end_kind, 0, &session->ends, ML_FOREVER) != 0)
            ml_pass(hub);
    if (shield != NULL)
        ml_scope_close(hub, shield);
}

static int finish(struct connection *c, int result)
{
    struct ml_http2_session *session = &c->peer.session;
    bool is_broken = result < 0 && result != -ETIMEDOUT;
    if (result == -ETIMEDOUT)
        session->n->nghttp2_session_terminate_session(session->session, NGHTTP2_NO_ERROR);
    session->has_read_all = true;
    close_streams(c, result == -ECANCELED);
    if (is_broken)
        ml_stream_close(session->stream);
    ml_http2_session_finish(session);
    await_end(c);
    return result == 1 || result == -ETIMEDOUT ? 0 : result;
}

static struct connection *open(struct ml_http_server *server, struct ml_stream *stream,
                               const struct ml_nghttp2 *n)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->peer.server = server;
    c->began = ml_hub_now(server->io->hub);
    c->head_deadline = ML_FOREVER;
    c->link.stop = on_stop;
    ml_list_init(&c->peer.streams);
    ml_http2_session_init(&c->peer.session, n, stream);
    ml_list_insert(&server->connections, &c->link.link);
    server->counters.connections++;
    server->counters.open++;
    stream->write_timeout = server->timeouts.write;
    return c;
}

static void release(struct connection *c)
{
    ml_list_remove(&c->link.link);
    c->peer.server->counters.open--;
    ml_http2_session_release(&c->peer.session);
    while (!ml_list_is_empty(&c->peer.streams))
        ml_http2_stream_free(ml_container_of(c->peer.streams.next, struct ml_http2_stream, link));
    free(c);
}

int ml_http2_run(struct ml_http_server *server, struct ml_stream *stream)
{
    const struct ml_nghttp2 *n = ml_nghttp2_get(server->io);
    if (n == NULL)
        return -EOPNOTSUPP;
    struct connection *c = open(server, stream, n);
    if (c == NULL)
        return -ENOMEM;
    int result = start(c);
    if (result == 0)
        result = receive_all(c);
    result = finish(c, result);
    release(c);
    ml_stream_close(stream);
    return result;
}
