#include "http/http2_client.h"

#include "base/check.h"
#include "hub/state/waiters.h"

#include <errno.h>

/* Interim responses to one request; more is an attack. */
enum { INTERIM_MOST = 16 };

/* Windows for what servers send: of a response before it is read, and of all together. */
enum { STREAM_WINDOW = 256 * 1024, CONNECTION_WINDOW = 16 * 1024 * 1024 };

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
    return problem == 0 ? 0 : refuse(r, problem);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct ml_http2_client *c = user;
    struct ml_http2_request *r = find(c, frame->hd.stream_id);
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    int result = 0;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        c->is_refusing = true;
    if (r == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS)
        result = r->has_head ? on_trailers(r) : on_response(r);
    if (is_end && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        ml_http2_flow_end_input(&r->flow);
    return result;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t size, void *user)
{
    struct ml_http2_client *c = user;
    struct ml_http2_request *r = find(c, id);
    (void)flags;
    c->session.n->nghttp2_session_consume_connection(session, size);
    if (r != NULL)
        return ml_http2_flow_take(&r->flow, bytes, size) == 0
                   ? 0
                   : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->session.n->nghttp2_session_consume_stream(session, id, size);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct ml_http2_request *r = find(user, id);
    (void)session;
    if (r == NULL)
        return 0;
    r->close_code = code;
    ml_http2_request_forget(r);
    ml_http2_flow_close(&r->flow);
    return 0;
}

/* ---- the session ---- */

static nghttp2_session_callbacks *make_callbacks(const struct ml_nghttp2 *n)
{
    nghttp2_session_callbacks *calls;
    if (n->nghttp2_session_callbacks_new(&calls) != 0)
        return NULL;
    n->nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    n->nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    n->nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    n->nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
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
    *c = (struct ml_http2_client){0};
    ml_list_init(&c->requests);
    if (n == NULL)
        return -EOPNOTSUPP;
    ml_http2_session_init(&c->session, n, stream);
    int error = new_session(c);
    if (error == 0)
        error = submit_settings(c);
    if (error != 0)
        ml_http2_session_release(&c->session);
    c->session.has_output = true;
    return error;
}

/* No response comes any more. */
static void fail_all(struct ml_http2_client *c)
{
    while (!ml_list_is_empty(&c->requests)) {
        struct ml_http2_request *r =
            ml_container_of(c->requests.next, struct ml_http2_request, link);
        ml_http2_request_forget(r);
        ml_http2_flow_close(&r->flow);
    }
}

void ml_http2_client_receive(struct ml_http2_client *c)
{
    int result = 0;
    while (result == 0 && !c->is_closed && c->session.error == 0)
        result = ml_http2_session_receive(&c->session, ML_FOREVER);
    c->is_closed = c->session.has_read_all = true;
    fail_all(c);
    ml_http2_session_finish(&c->session);
}

void ml_http2_client_send(struct ml_http2_client *c)
{
    ml_http2_session_send(&c->session);
    c->is_closed = true;
    fail_all(c);
}

void ml_http2_client_close(struct ml_http2_client *c)
{
    if (c->is_closed)
        return;
    c->is_closed = true;
    fail_all(c);
    c->session.n->nghttp2_session_terminate_session(c->session.session, NGHTTP2_NO_ERROR);
    ml_http2_session_finish(&c->session);
}

void ml_http2_client_release(struct ml_http2_client *c)
{
    ml_http2_session_release(&c->session);
}
