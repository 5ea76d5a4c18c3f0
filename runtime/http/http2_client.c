#include "http/http2_client.h"

#include "base/error.h"
#include "http/http2_reason.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>

/* Interim responses to one request; more is an attack. */
enum { INTERIM_MOST = 16 };

/* Windows for what servers send: of a response before it is read, and of all together. */
enum { STREAM_WINDOW = 256 * 1024, CONNECTION_WINDOW = 16 * 1024 * 1024 };

/* Bytes of a response's fields, as SETTINGS tell the server. */
enum { HEAD_MOST = 64 * 1024 };

/* So long a server may take to read what is sent: after that it is taken for dead. */
#define WRITE_IDLE (30 * ML_SECOND)

/* Frames that make work and bring nothing: so many are free, and some more for each second. */
enum { GLITCHES_FREE = 1000, GLITCHES_PER_SECOND = 20 };

static const struct ml_wait_kind settings_kind = {.text = "the settings of an HTTP/2 server",
                                                  .external = true};

/* ---- how exchanges end before their time ---- */

/* No response comes any more, for that reason. */
static void fail_all(struct ml_http2_client *c, int error, const char *problem)
{
    while (!ml_list_is_empty(&c->requests)) {
        struct ml_http2_request *r =
            ml_container_of(c->requests.next, struct ml_http2_request, link);
        ml_http2_request_end(r, error, problem);
    }
}

/* The connection carries nothing any more. The first reason is kept. A server that had said goodbye
 * has ended it, however that looked from here. */
static void end(struct ml_http2_client *c, int error, const char *problem)
{
    c->is_closed = true;
    if (c->is_refusing && (error == -ECONNRESET || error == -EPIPE))
        error = -ML_EEOF;
    if (c->failure == 0) {
        c->failure = error;
        c->problem = problem != NULL ? problem : c->problem;
    }
    fail_all(c, c->failure, c->problem);
    ml_wake_all(c->session.stream->io->hub, &c->settled);
}

/* Counts a frame that brought nothing. */
static void glitch(struct ml_http2_client *c)
{
    ml_time age = ml_hub_now(c->session.stream->io->hub) - c->began;
    uint64_t allowed = GLITCHES_FREE + (uint64_t)(age / ML_SECOND) * GLITCHES_PER_SECOND;
    if (++c->glitches > allowed)
        c->session.n->nghttp2_session_terminate_session(c->session.session,
                                                        NGHTTP2_ENHANCE_YOUR_CALM);
}

/* ---- what nghttp2 tells ---- */

static struct ml_http2_request *find(struct ml_http2_client *c, int32_t id)
{
    return c->session.n->nghttp2_session_get_stream_user_data(c->session.session, id);
}

static int fail(struct ml_http2_request *r, int error, const char *problem)
{
    ml_http2_request_fail(r, error, problem);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t size, uint8_t flags, void *user)
{
    struct ml_http2_request *r = find(user, frame->hd.stream_id);
    (void)session, (void)flags;
    if (r == NULL)
        return 0;
    r->x.has_answer = true;
    int error = ml_http2_head_add(&r->coming, (const char *)name, name_size, (const char *)value,
                                  size, r->x.max_head);
    return error == 0 ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static struct ml_http_limits limits_of(const struct ml_http2_request *r)
{
    return (struct ml_http_limits){(uint32_t)r->x.max_head, (uint32_t)r->x.max_head,
                                   ML_HTTP_CLIENT_FIELDS};
}

static int refuse(struct ml_http2_request *r, int problem)
{
    bool is_limit = problem == ML_HTTP_HEAD_TOO_LONG || problem == ML_HTTP_TOO_MANY_FIELDS;
    return fail(r, is_limit ? -EMSGSIZE : -EPROTO, ml_http_error_text(problem));
}

static int on_response(struct ml_http2_request *r)
{
    struct ml_http_limits limits = limits_of(r);
    int problem;
    ml_buffer_consume(&r->text, ml_buffer_size(&r->text));
    ml_http_head_init(&r->x.head, r->x.fields, ML_HTTP_CLIENT_FIELDS);
    if (ml_http2_response_finish(&r->coming, &r->text, &r->x.head, &limits, &problem) != 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    ml_http2_head_release(&r->coming);
    if (problem != 0)
        return refuse(r, problem);
    if (r->x.head.status < 200 && ++r->interim > INTERIM_MOST)
        return fail(r, -EPROTO, "there are too many interim responses");
    r->has_continue = r->has_continue || r->x.head.status == 100;
    r->has_head = r->x.head.status >= 200;
    ml_wake_all(r->client->session.stream->io->hub, &r->flow.waiters);
    return 0;
}

static int on_trailers(struct ml_http2_request *r)
{
    struct ml_http_limits limits = limits_of(r);
    int problem;
    ml_http_head_init(&r->x.trailers, r->trailer_fields, ML_HTTP_CLIENT_FIELDS);
    if (ml_http2_trailers_finish(&r->coming, &r->trailer_text, &r->x.trailers, &limits, &problem) !=
        0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    ml_http2_head_release(&r->coming);
    return problem == 0 ? 0 : refuse(r, problem);
}

/* Before a frame's payload: counts those that bring nothing. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    const struct ml_http2_client *c = user;
    switch (hd->type) {
    case NGHTTP2_DATA:
        if (hd->length == 0 && (hd->flags & NGHTTP2_FLAG_END_STREAM) == 0)
            glitch(user);
        break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_WINDOW_UPDATE: /* uploads need them */
        break;
    case NGHTTP2_PUSH_PROMISE: /* forbidden in the first bytes that we sent */
        c->session.n->nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR);
        break;
    default:
        glitch(user);
    }
    return 0;
}

/* The server takes no new requests. Those that it will not look at are closed by nghttp2 next, as
 * refused. */
static void on_goaway(struct ml_http2_client *c, const nghttp2_frame *frame)
{
    uint32_t code = frame->goaway.error_code;
    c->is_refusing = true;
    if (code != NGHTTP2_NO_ERROR)
        c->problem = ml_http2_reason(ML_HTTP2_GOODBYE, code);
}

static void on_settings(struct ml_http2_client *c)
{
    c->has_settings = true;
    ml_wake_all(c->session.stream->io->hub, &c->settled);
}

static void on_reset(struct ml_http2_request *r, uint32_t code)
{
    r->has_reset = true;
    r->x.has_answer = r->x.has_answer || code != NGHTTP2_REFUSED_STREAM;
    r->x.wants_http1 = code == NGHTTP2_HTTP_1_1_REQUIRED;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct ml_http2_client *c = user;
    struct ml_http2_request *r = frame->hd.stream_id == 0 ? NULL : find(c, frame->hd.stream_id);
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    int result = 0;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        on_goaway(c, frame);
    if (frame->hd.type == NGHTTP2_SETTINGS)
        on_settings(c);
    if (r == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        on_reset(r, frame->rst_stream.error_code);
    if (frame->hd.type == NGHTTP2_HEADERS)
        result = r->has_head ? on_trailers(r) : on_response(r);
    if (is_end && r->failure == 0 &&
        (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        ml_http2_flow_end_input(&r->flow);
    return result;
}

/* nghttp2 resets the stream, or ends the connection. */
static int on_bad_frame(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    struct ml_http2_request *r = frame->hd.stream_id == 0 ? NULL : find(user, frame->hd.stream_id);
    (void)session, (void)code;
    if (r != NULL && r->failure == 0)
        r->failure = -EPROTO, r->x.problem = "it breaks the rules of HTTP/2";
    glitch(user);
    return 0;
}

/* A GOAWAY of ours tells which fault of the server it is for. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct ml_http2_client *c = user;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        end(c, -EPROTO, ml_http2_reason(ML_HTTP2_BREACH, frame->goaway.error_code));
    if (frame->hd.type == NGHTTP2_HEADERS) {
        struct ml_http2_request *r = find(c, frame->hd.stream_id);
        if (r != NULL)
            r->x.sent++;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t size, void *user)
{
    struct ml_http2_client *c = user;
    struct ml_http2_request *r = find(c, id);
    (void)flags;
    c->session.n->nghttp2_session_consume_connection(session, size);
    if (r != NULL)
        ml_http2_flow_take(&r->flow, bytes, size);
    else
        c->session.n->nghttp2_session_consume_stream(session, id, size);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct ml_http2_request *r = find(user, id);
    (void)session;
    if (r == NULL)
        return 0;
    ml_http2_request_closed(r, code);
    return 0;
}

/* ---- the session ---- */

static nghttp2_session_callbacks *make_callbacks(const struct ml_nghttp2 *n)
{
    nghttp2_session_callbacks *calls;
    if (n->nghttp2_session_callbacks_new(&calls) != 0)
        return NULL;
    n->nghttp2_session_callbacks_set_on_begin_frame_callback(calls, on_begin_frame);
    n->nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    n->nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    n->nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    n->nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
    n->nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, on_bad_frame);
    n->nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_sent);
    return calls;
}

static int new_session(struct ml_http2_client *c)
{
    const struct ml_nghttp2 *n = c->session.n;
    nghttp2_session_callbacks *calls = make_callbacks(n);
    nghttp2_option *option = NULL;
    int error = calls == NULL ? NGHTTP2_ERR_NOMEM : n->nghttp2_option_new(&option);
    if (error == 0) {
        n->nghttp2_option_set_no_auto_window_update(option, 1);
        n->nghttp2_option_set_max_settings(option, 32);
        n->nghttp2_option_set_max_outbound_ack(option, 100);
        if (n->set_max_continuations != NULL) /* as http2_callbacks.c has it */
            n->set_max_continuations(option, 100);
        error = n->nghttp2_session_client_new2(&c->session.session, calls, c, option);
    }
    if (option != NULL)
        n->nghttp2_option_del(option);
    if (calls != NULL)
        n->nghttp2_session_callbacks_del(calls);
    return error == 0 ? 0 : -ENOMEM;
}

static int submit_settings(struct ml_http2_client *c)
{
    const struct ml_nghttp2 *n = c->session.n;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_MOST},
    };
    int error = n->nghttp2_submit_settings(c->session.session, NGHTTP2_FLAG_NONE, settings,
                                           sizeof settings / sizeof *settings);
    if (error == 0)
        error = n->nghttp2_session_set_local_window_size(c->session.session, NGHTTP2_FLAG_NONE, 0,
                                                         CONNECTION_WINDOW);
    return error == 0 ? 0 : -ENOMEM;
}

int ml_http2_client_open(struct ml_http2_client *c, struct ml_stream *stream)
{
    const struct ml_nghttp2 *n = ml_nghttp2_get(stream->io);
    *c = (struct ml_http2_client){.began = ml_hub_now(stream->io->hub)};
    ml_list_init(&c->requests);
    ml_list_init(&c->settled);
    if (n == NULL)
        return -EOPNOTSUPP;
    ml_http2_session_init(&c->session, n, stream);
    int error = new_session(c);
    if (error == 0)
        error = submit_settings(c);
    if (error != 0)
        ml_http2_session_release(&c->session);
    c->session.has_output = c->session.reads_on = true;
    stream->write_timeout = WRITE_IDLE;
    return error;
}

/* ---- the two tasks ---- */

/* Whether nghttp2 still expects anything. */
static bool wants_input(const struct ml_http2_client *c)
{
    return !c->is_closed && c->session.error == 0 &&
           c->session.n->nghttp2_session_want_read(c->session.session);
}

int ml_http2_client_receive(struct ml_http2_client *c)
{
    int result = 0;
    while (result == 0 && wants_input(c))
        result = ml_http2_session_receive(&c->session, ML_FOREVER);
    c->session.has_read_all = true;
    /* The sender closes the stream after an error of its own. */
    int error = c->session.error != 0 ? c->session.error : result < 0 ? result : -ML_EEOF;
    end(c, error == -ECANCELED ? -ML_ECLOSED : error, NULL);
    ml_http2_session_finish(&c->session);
    return result == -ECANCELED ? result : 0;
}

void ml_http2_client_send(struct ml_http2_client *c)
{
    if (c->session.is_sending)
        return;
    c->session.is_sending = true;
    ml_http2_session_send(&c->session);
    int error = c->session.error;
    end(c, error == 0 ? -ML_EEOF : error == -ECANCELED ? -ML_ECLOSED : error, NULL);
}

int ml_http2_client_await_settings(struct ml_http2_client *c, ml_time deadline)
{
    struct ml_hub *hub = c->session.stream->io->hub;
    int error = ml_cancel_point(hub);
    while (error == 0 && !c->has_settings) {
        error = c->is_closed ? -EPIPE : 0;
        if (error == 0)
            error = ml_wait(hub, &settings_kind, 0, &c->settled, deadline);
    }
    return error;
}

bool ml_http2_client_takes_websockets(const struct ml_http2_client *c)
{
    const struct ml_http2_session *s = &c->session;
    return ml_http2_client_has_room(c) &&
           s->n->nghttp2_session_get_remote_settings(s->session,
                                                     NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void ml_http2_client_close(struct ml_http2_client *c)
{
    if (c->is_closed)
        return;
    end(c, -ML_ECLOSED, NULL);
    c->session.n->nghttp2_session_terminate_session(c->session.session, NGHTTP2_NO_ERROR);
    ml_http2_session_finish(&c->session);
    if (ml_buffer_size(&c->session.out) > 0) /* the server takes nothing: not even a goodbye */
        ml_stream_close(c->session.stream);
}

void ml_http2_client_release(struct ml_http2_client *c)
{
    end(c, -ML_ECLOSED, NULL);
    ml_http2_session_release(&c->session);
}
