#include "http/http2_callbacks.h"

#include "http/http2_handlers.h"
#include "http/http2_memory.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Frames that make work and bring nothing: so many are free, and some more for each answer that was
 * taken and each second. A browser needs a handful in all.
 */
enum { GLITCHES_FREE = 200, GLITCHES_PER_ANSWER = 2, GLITCHES_PER_SECOND = 10 };

static struct ml_http2_connection *connection_of(void *user)
{
    return user;
}

static struct ml_http2_stream *stream_of(struct ml_http2_connection *c, int32_t id)
{
    struct ml_http2_session *session = &c->peer.session;
    return session->n->nghttp2_session_get_stream_user_data(session->session, id);
}

/* ---- what a peer may do without getting anywhere ---- */

static uint64_t glitches_allowed(const struct ml_http2_connection *c)
{
    ml_time age = ml_hub_now(ml_http2_hub(c)) - c->began;
    return GLITCHES_FREE + c->peer.answered * GLITCHES_PER_ANSWER +
           (uint64_t)(age / ML_SECOND) * GLITCHES_PER_SECOND;
}

/* Counts one; 0, or nghttp2's sign to give the connection up. */
static int glitch(struct ml_http2_connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    if (++c->glitches <= glitches_allowed(c))
        return 0;
    session->n->nghttp2_session_terminate_session(session->session, NGHTTP2_ENHANCE_YOUR_CALM);
    return 0;
}

static void reset(struct ml_http2_connection *c, int32_t id, uint32_t code)
{
    struct ml_http2_session *session = &c->peer.session;
    session->n->nghttp2_submit_rst_stream(session->session, NGHTTP2_FLAG_NONE, id, code);
}

/* ---- what nghttp2 tells ---- */

/* RFC 9113, section 5.1.1: a number below that of an earlier stream opens none. nghttp2 would pass
 * over it. It remembers ML_HTTP2_STREAMS closed streams, to which a peer may still send something
 * that was under way, and answers for those itself. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *user)
{
    const struct ml_nghttp2 *n = connection_of(user)->peer.session.n;
    bool is_late = head->type == NGHTTP2_HEADERS && head->stream_id % 2 == 1 &&
                   head->stream_id <= n->nghttp2_session_get_last_proc_stream_id(session) &&
                   n->nghttp2_session_find_stream(session, head->stream_id) == NULL;
    if (is_late)
        n->nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR);
    return 0;
}

/* A new stream, unless the peer keeps more handlers busy than it may. */
static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct ml_http2_connection *c = connection_of(user);
    (void)session;
    ml_http2_head_clear(&c->coming);
    c->is_in_head = true;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    c->head_deadline = ml_time_after(c->peer.session.received_at, c->peer.server->timeouts.head);
    if (c->peer.running >= ML_HTTP2_STREAMS) {
        reset(c, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return glitch(c);
    }
    struct ml_http2_stream *s = ml_http2_stream_new(&c->peer, frame->hd.stream_id);
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->peer.session.n->nghttp2_session_set_stream_user_data(c->peer.session.session,
                                                            frame->hd.stream_id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t size, uint8_t flags, void *user)
{
    struct ml_http2_connection *c = connection_of(user);
    struct ml_http2_stream *s = stream_of(c, frame->hd.stream_id);
    (void)session, (void)flags;
    if (s == NULL)
        return 0;
    int error = ml_http2_head_add(&c->coming, (const char *)name, name_size, (const char *)value,
                                  size, c->peer.server->limits.head_size);
    return error == 0 ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Reads the head that has come. */
static int read_head(struct ml_http2_connection *c, struct ml_http2_stream *s, int *problem)
{
    const struct ml_http_limits *limits = &c->peer.server->limits;
    if (c->fields == NULL)
        c->fields = calloc(limits->field_count, sizeof *c->fields);
    if (c->fields == NULL)
        return -ENOMEM;
    ml_http_head_init(&s->x.head, c->fields, limits->field_count);
    int error = ml_http2_head_finish(&c->coming, &c->text, &s->x.head, limits, problem);
    if (error == 0)
        error = ml_http2_stream_keep_head(s, &c->text);
    ml_buffer_consume(&c->text, ml_buffer_size(&c->text));
    return error;
}

static int finish_head(struct ml_http2_connection *c, struct ml_http2_stream *s, bool is_whole)
{
    int problem = 0;
    s->has_head = true;
    s->is_websocket = ml_http2_head_is_websocket(&c->coming);
    s->flow.input_ended = is_whole;
    c->head_deadline = ML_FOREVER;
    if (read_head(c, s, &problem) != 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    ml_http2_begin_request(c, s, problem);
    return 0;
}

static int finish_trailers(struct ml_http2_connection *c, struct ml_http2_stream *s)
{
    const struct ml_http_limits *limits = &c->peer.server->limits;
    int problem = 0;
    s->trailer_fields = calloc(limits->field_count, sizeof *s->trailer_fields);
    if (s->trailer_fields == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    ml_http_head_init(&s->trailers, s->trailer_fields, limits->field_count);
    int error =
        ml_http2_trailers_finish(&c->coming, &s->trailer_text, &s->trailers, limits, &problem);
    if (error != 0 || problem != 0)
        reset(c, s->flow.id, NGHTTP2_PROTOCOL_ERROR);
    return 0;
}

static int on_headers(struct ml_http2_connection *c, const nghttp2_frame *frame)
{
    struct ml_http2_stream *s = stream_of(c, frame->hd.stream_id);
    bool is_whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    c->is_in_head = false;
    if (s == NULL)
        return 0;
    if (!s->has_head)
        return finish_head(c, s, is_whole);
    int result = finish_trailers(c, s);
    ml_http2_flow_end_input(&s->flow);
    return result;
}

static int on_data_end(struct ml_http2_connection *c, const nghttp2_frame *frame)
{
    struct ml_http2_stream *s = stream_of(c, frame->hd.stream_id);
    bool is_whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (is_whole && s != NULL)
        ml_http2_flow_end_input(&s->flow);
    bool is_idle = !is_whole && frame->hd.length == 0;
    return is_idle ? glitch(c) : 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct ml_http2_connection *c = connection_of(user);
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
    struct ml_http2_connection *c = connection_of(user);
    struct ml_http2_stream *s = stream_of(c, id);
    (void)flags;
    c->peer.session.n->nghttp2_session_consume_connection(session, size);
    if (s != NULL && !s->flow.input_dropped)
        ml_http2_flow_take(&s->flow, bytes, size);
    else if (s != NULL)
        ml_http2_flow_drop(&s->flow, size);
    else
        c->peer.session.n->nghttp2_session_consume_stream(session, id, size);
    return 0;
}

/* An answer that is whole before its request is: the rest of that is not wanted, once the handler's
 * task has waited for it a little. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct ml_http2_connection *c = connection_of(user);
    struct ml_http2_stream *s = stream_of(c, frame->hd.stream_id);
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
                  (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS);
    (void)session;
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        return glitch(c);
    if (is_end) {
        c->peer.answered++;
        if (s != NULL)
            s->is_answered = true;
        if (s != NULL && !s->flow.input_ended && !s->is_counted)
            reset(c, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct ml_http2_connection *c = connection_of(user);
    struct ml_http2_stream *s = stream_of(c, id);
    (void)session, (void)code;
    if (s == NULL)
        return 0;
    c->peer.session.n->nghttp2_session_set_stream_user_data(c->peer.session.session, id, NULL);
    ml_http2_stream_closed(s);
    ml_http2_release_if_over(s);
    return 0;
}

/* ---- the session ---- */

static nghttp2_session_callbacks *make_callbacks(const struct ml_nghttp2 *n)
{
    nghttp2_session_callbacks *calls;
    if (n->nghttp2_session_callbacks_new(&calls) != 0)
        return NULL;
    n->nghttp2_session_callbacks_set_on_begin_frame_callback(calls, on_begin_frame);
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
    n->nghttp2_option_set_max_settings(option, 32);
    n->nghttp2_option_set_max_outbound_ack(option, 100);
    /* nghttp2 1.52 counts each look at the nine bytes that begin such a frame, and gives up at the
     * ninth: a head whose bytes come one by one. */
    if (n->set_max_continuations != NULL)
        n->set_max_continuations(option, 100);
    return option;
}

/* The sessions of a server share their memory. */
static struct ml_http2_memory *memory_of(struct ml_http_server *server)
{
    if (server->http2_memory == NULL)
        server->http2_memory = ml_http2_memory_new();
    return server->http2_memory;
}

int ml_http2_new_session(struct ml_http2_connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    struct ml_http2_memory *memory = memory_of(c->peer.server);
    if (memory == NULL)
        return -ENOMEM;
    nghttp2_mem functions = ml_http2_memory_functions(memory);
    nghttp2_session_callbacks *calls = make_callbacks(session->n);
    nghttp2_option *option = make_options(session->n);
    int error = calls != NULL && option != NULL
                    ? session->n->nghttp2_session_server_new3(&session->session, calls, c, option,
                                                              &functions)
                    : NGHTTP2_ERR_NOMEM;
    if (option != NULL)
        session->n->nghttp2_option_del(option);
    if (calls != NULL)
        session->n->nghttp2_session_callbacks_del(calls);
    return error == 0 ? 0 : -ENOMEM;
}
