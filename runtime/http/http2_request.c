#include "http/http2_request.h"

#include "base/error.h"
#include "http/framing.h"
#include "http/http2_fields.h"
#include "http/http2_reason.h"
#include "http/http2_tunnel.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct ml_wait_kind response_kind = {.text = "an HTTP/2 response", .external = true};
static const struct ml_wait_kind tunnel_kind = {.text = "the end of a WebSocket", .external = true};
static const struct ml_wait_kind room_kind = {.text = "an HTTP/2 server to read", .external = true};

static struct ml_http2_request *request_of(struct ml_http_client_exchange *x)
{
    return ml_container_of(x, struct ml_http2_request, x);
}

static struct ml_hub *hub_of(const struct ml_http2_request *r)
{
    return r->client->session.stream->io->hub;
}

static struct ml_http2_patience until(ml_time deadline)
{
    return (struct ml_http2_patience){.span = ML_FOREVER, .deadline = deadline};
}

bool ml_http2_client_has_room(const struct ml_http2_client *c)
{
    const struct ml_http2_session *s = &c->session;
    if (c->is_closed || c->is_refusing || s->session == NULL || s->error != 0 || s->is_mute)
        return false;
    return c->count < s->n->nghttp2_session_get_remote_settings(
                          s->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

/* ---- sending ---- */

/* `te` may say nothing but `trailers` (RFC 9113, 8.2.2). */
static bool is_other_te(const struct ml_http_client_field *field)
{
    return field->name_size == 2 && strncasecmp(field->name, "te", 2) == 0 &&
           !(field->value_size == 8 && strncasecmp(field->value, "trailers", 8) == 0);
}

/* Fields that HTTP/2 has no use for; `host` becomes :authority. */
static bool is_dropped(const struct ml_http_client_field *field)
{
    enum ml_http_name name = ml_http_name_of(field->name, field->name_size);
    return name == ML_HTTP_HOST || name == ML_HTTP_CONNECTION || name == ML_HTTP_UPGRADE ||
           name == ML_HTTP_TRANSFER_ENCODING || name == ML_HTTP_KEEP_ALIVE ||
           name == ML_HTTP_PROXY_CONNECTION || name == ML_HTTP_CONTENT_LENGTH || is_other_te(field);
}

/* The fields of ours. */
enum { OWN_FIELDS = 6 };

static size_t count_fields(const struct ml_http_client_request *request)
{
    struct ml_http_client_field field;
    size_t count = OWN_FIELDS;
    for (size_t at = 0; request->next(request->fields, &at, &field);)
        count++;
    return count;
}

static struct ml_http_client_field host_of(const struct ml_http_client_request *request)
{
    struct ml_http_client_field field, host = {.value = ""};
    for (size_t at = 0; request->next(request->fields, &at, &field);)
        if (ml_http_name_of(field.name, field.name_size) == ML_HTTP_HOST)
            host = field;
    return host;
}

static void add_fields(struct ml_http2_fields *f, const struct ml_http_client_request *request)
{
    struct ml_http_client_field field;
    for (size_t at = 0; request->next(request->fields, &at, &field);)
        if (!is_dropped(&field))
            ml_http2_fields_add(f, field.name, field.name_size, field.value, field.value_size);
    if (request->body == ML_HTTP_CLIENT_SIZED)
        ml_http2_fields_add_number(f, "content-length", request->length);
}

static int make_head(const struct ml_http2_request *r, const struct ml_http_client_request *request,
                     struct ml_http2_fields *f)
{
    bool is_secure = r->client->session.stream->tls != NULL;
    struct ml_http_client_field host = host_of(request);
    int error = ml_http2_fields_init(f, count_fields(request));
    if (error != 0)
        return error;
    ml_http2_fields_add(f, ":method", 7, request->method, request->method_size);
    if (request->protocol != NULL)
        ml_http2_fields_add(f, ":protocol", 9, request->protocol, strlen(request->protocol));
    ml_http2_fields_add(f, ":scheme", 7, "https", is_secure ? 5 : 4);
    ml_http2_fields_add(f, ":authority", 10, host.value, host.value_size);
    ml_http2_fields_add(f, ":path", 5, request->target, request->target_size);
    add_fields(f, request);
    return 0;
}

static void begin(struct ml_http2_request *r, const struct ml_http_client_request *request)
{
    struct ml_http_client_exchange *x = &r->x;
    x->method = ml_http_client_method(request->method, request->method_size);
    x->is_streamed = request->body == ML_HTTP_CLIENT_STREAMED;
    x->body_left = request->body == ML_HTTP_CLIENT_SIZED ? request->length : 0;
    x->phase = ML_HTTP_CLIENT_AWAITING;
    x->is_sending = x->is_reusable = true;
}

static int submit(struct ml_http2_request *r, const struct ml_http_client_request *request)
{
    struct ml_http2_session *c = &r->client->session;
    nghttp2_data_provider provider = ml_http2_flow_provider(&r->flow);
    bool has_body = r->x.is_streamed || r->x.body_left > 0;
    struct ml_http2_fields f;
    int error = make_head(r, request, &f);
    if (error != 0)
        return error;
    int32_t id = c->n->nghttp2_submit_request(c->session, NULL, f.list, f.count,
                                              has_body ? &provider : NULL, r);
    ml_http2_fields_release(&f);
    if (id == NGHTTP2_ERR_NOMEM)
        return -ENOMEM;
    if (id < 0) { /* the numbers of streams are used up */
        r->client->is_refusing = true;
        return -EPIPE;
    }
    r->flow.id = id;
    ml_list_insert(&r->client->requests, &r->link);
    ml_http2_session_kick(c);
    return 0;
}

/* Takes `size` bytes off what the body's length promises: 0; -EPROTO: it promised fewer. */
static int spend(struct ml_http_client_exchange *x, size_t size)
{
    if (x->is_streamed)
        return 0;
    if (size > x->body_left)
        return -EPROTO;
    x->body_left -= size;
    return 0;
}

static int put_pieces(struct ml_http2_request *r, const struct iovec *pieces, int count,
                      ml_time deadline)
{
    int error = 0;
    for (int i = 0; error == 0 && i < count; i++) {
        error = spend(&r->x, pieces[i].iov_len);
        if (error == 0)
            error =
                ml_http2_flow_put(&r->flow, pieces[i].iov_base, pieces[i].iov_len, until(deadline));
    }
    return error;
}

/* A body that is there as a whole is copied as a whole, so that no task waits for the server to
 * read it while the server waits for its response to be read. */
static int put_whole(struct ml_http2_request *r, const struct iovec *pieces, int count)
{
    int error = 0;
    for (int i = 0; error == 0 && i < count; i++) {
        error = spend(&r->x, pieces[i].iov_len);
        if (error == 0)
            error = ml_http2_flow_put_whole(&r->flow, pieces[i].iov_base, pieces[i].iov_len);
    }
    return error;
}

/* The body has been put: it may leave later. */
static int end_output(struct ml_http2_request *r)
{
    int error = ml_http2_flow_end_output(&r->flow, until(ML_NEVER_WAIT));
    if (error == 0 || error == -ETIMEDOUT)
        r->x.is_sending = false;
    return error == -ETIMEDOUT ? 0 : error;
}

/* Whether dropping the exchange now would cut the body off. */
static bool is_leaving(const struct ml_http2_request *r)
{
    return r->flow.is_draining || (r->flow.input_ended && ml_link_is_in_list(&r->link));
}

static size_t http2_unsent(const struct ml_http_client_exchange *x)
{
    const struct ml_http2_request *r = ml_container_of(x, struct ml_http2_request, x);
    bool is_under_way = !x->is_sending && is_leaving(r) && ml_http2_flow_check(&r->flow) == 0;
    return is_under_way ? ml_buffer_size(&r->flow.out) + 1 : 0;
}

static int http2_end(struct ml_http_client_exchange *x, ml_time deadline)
{
    struct ml_http2_request *r = request_of(x);
    int error = ml_cancel_point(hub_of(r));
    if (error == 0 && x->is_sending)
        error = x->body_left > 0 ? -EPROTO : end_output(r);
    while (error == 0 && is_leaving(r)) {
        error = ml_http2_flow_check(&r->flow);
        if (error == 0)
            error = ml_wait(hub_of(r), &room_kind, 0, &r->flow.waiters, deadline);
    }
    return error;
}

/* Whether the exchange may begin: once, on a connection that is good. */
static bool takes_requests(const struct ml_http2_request *r)
{
    const struct ml_http2_client *c = r->client;
    return r->is_counted && r->flow.id == 0 && !c->is_closed && !c->is_refusing &&
           c->session.error == 0 && !c->session.is_mute;
}

static int http2_send(struct ml_http_client_exchange *x,
                      const struct ml_http_client_request *request, struct iovec *pieces, int count,
                      ml_time deadline)
{
    struct ml_http2_request *r = request_of(x);
    bool has_body = request->body == ML_HTTP_CLIENT_STREAMED ||
                    (request->body == ML_HTTP_CLIENT_SIZED && request->length > 0);
    begin(r, request);
    int error = ml_cancel_point(hub_of(r));
    if (error == 0 && x->method == ML_HTTP_CONNECT && request->protocol == NULL)
        error = -EOPNOTSUPP;
    if (error == 0)
        error = takes_requests(r) ? submit(r, request) : -EPIPE;
    if (error == 0 && has_body)
        error = put_whole(r, pieces, count);
    if (error == 0 && !has_body)
        x->is_sending = false;
    else if (error == 0 && !x->is_streamed && x->body_left == 0)
        error = end_output(r);
    (void)deadline;
    return error;
}

static int http2_write(struct ml_http_client_exchange *x, struct iovec *pieces, int count,
                       ml_time deadline)
{
    struct ml_http2_request *r = request_of(x);
    int error = ml_cancel_point(hub_of(r));
    return error == 0 ? put_pieces(r, pieces, count, deadline) : error;
}

/* ---- the head of the response ---- */

/* Why no response comes any more: 0 while one may. */
static int end_of(const struct ml_http2_request *r)
{
    if (r->failure != 0)
        return r->failure;
    return ml_http2_flow_check(&r->flow) == 0 ? 0 : -ML_EEOF;
}

static int begin_body(struct ml_http2_request *r)
{
    struct ml_http_client_exchange *x = &r->x;
    int error = ml_http_response_framing(&x->head, x->method);
    if (error < 0) {
        x->problem = ml_http_error_text(error);
        return -EPROTO;
    }
    x->head.version = 20;
    x->head_size = ml_buffer_size(&r->text);
    x->phase = ML_HTTP_CLIENT_RECEIVING;
    return 0;
}

static int http2_receive(struct ml_http_client_exchange *x, bool stops_at_continue,
                         ml_time deadline)
{
    struct ml_http2_request *r = request_of(x);
    int error = ml_cancel_point(hub_of(r));
    while (error == 0 && !r->has_head) {
        if (stops_at_continue && r->has_continue) {
            x->head.status = 100;
            x->head_size = ml_buffer_size(&r->text);
            return 0;
        }
        error = end_of(r);
        if (error == 0)
            error = ml_wait(hub_of(r), &response_kind, 0, &r->flow.waiters, deadline);
    }
    return error == 0 ? begin_body(r) : error;
}

static void http2_consume_head(struct ml_http_client_exchange *x)
{
    x->head_size = 0;
}

/* ---- its body ---- */

/* The error of a reader for which the stream ended before the body. A body that broke off is short,
 * whatever the reason; x->problem tells it. */
static int cut_off(const struct ml_http2_request *r)
{
    bool is_wrong = r->failure == -EPROTO || r->failure == -EMSGSIZE || r->failure == -ML_ECLOSED;
    return is_wrong ? r->failure : -ML_EEOF;
}

static int await_input(struct ml_http2_request *r, ml_time deadline)
{
    int result = ml_cancel_point(hub_of(r));
    if (result == 0 && (r->failure == -EPROTO || r->failure == -EMSGSIZE))
        return r->failure;
    if (result == 0)
        result = ml_http2_flow_await_input(&r->flow, deadline);
    return result == -ML_EEOF ? cut_off(r) : result;
}

static int http2_read(struct ml_http_client_exchange *x, size_t max,
                      struct ml_piece_of_input *piece, ml_time deadline)
{
    struct ml_http2_request *r = request_of(x);
    if (x->phase == ML_HTTP_CLIENT_OVER)
        return 1;
    if (x->phase != ML_HTTP_CLIENT_RECEIVING || x->pending > 0)
        return -ML_ECLOSED;
    int result = await_input(r, deadline);
    if (result == 1) {
        x->phase = ML_HTTP_CLIENT_OVER;
        x->head_size = ml_buffer_size(&r->trailer_text);
    }
    if (result != 0)
        return result;
    size_t size = ml_buffer_size(&r->flow.in);
    size = size < max ? size : max;
    *piece = (struct ml_piece_of_input){ml_buffer_data(&r->flow.in), size, size};
    x->pending = size;
    return 0;
}

static void http2_consume(struct ml_http_client_exchange *x, const struct ml_piece_of_input *piece)
{
    struct ml_http2_request *r = request_of(x);
    size_t size = ml_buffer_size(&r->flow.in); /* 0: it was dropped meanwhile */
    ml_http2_flow_consume(&r->flow, piece->taken < size ? piece->taken : size);
    x->pending = 0;
}

static bool http2_finish(struct ml_http_client_exchange *x)
{
    return x->phase == ML_HTTP_CLIENT_OVER;
}

static bool http2_is_idle(struct ml_http_client_exchange *x)
{
    return ml_http2_client_has_room(request_of(x)->client);
}

static bool http2_holds_head(const struct ml_http_client_exchange *x)
{
    (void)x; /* the bytes are its own */
    return true;
}

/* The place among the streams is free. */
static void leave(struct ml_http2_request *r)
{
    if (ml_link_is_in_list(&r->link))
        ml_list_remove(&r->link);
    r->client->count -= r->is_counted;
    r->is_counted = false;
}

void ml_http2_request_end(struct ml_http2_request *r, int error, const char *problem)
{
    struct ml_http2_session *c = &r->client->session;
    if (ml_link_is_in_list(&r->link) && c->session != NULL) {
        c->n->nghttp2_session_set_stream_user_data(c->session, r->flow.id, NULL);
        ml_http2_flow_reset(&r->flow, NGHTTP2_CANCEL);
    }
    leave(r);
    if (r->failure == 0 && !r->flow.input_ended) {
        r->failure = error;
        r->x.problem = problem;
    }
    ml_http2_flow_close(&r->flow);
}

static void http2_drop(struct ml_http_client_exchange *x)
{
    struct ml_http2_request *r = request_of(x);
    x->phase = ML_HTTP_CLIENT_IDLE;
    ml_http2_request_end(r, -ML_ECLOSED, NULL);
    ml_buffer_release(&r->flow.in);
}

/* ---- other protocols ---- */

void ml_http2_request_tunnel(struct ml_http2_request *r, struct ml_stream *s)
{
    r->x.is_sending = false; /* what is sent is the stream's */
    ml_http2_tunnel_open(&r->flow, s);
}

int ml_http2_request_await_tunnel(struct ml_http2_request *r, ml_time deadline)
{
    int error = ml_cancel_point(hub_of(r));
    while (error == 0 && r->flow.tunnel != NULL)
        error = ml_wait(hub_of(r), &tunnel_kind, 0, &r->flow.waiters, deadline);
    return error;
}

static const struct ml_http_client_carrier carrier = {
    .send = http2_send,
    .write = http2_write,
    .end = http2_end,
    .receive = http2_receive,
    .consume_head = http2_consume_head,
    .read = http2_read,
    .consume = http2_consume,
    .finish = http2_finish,
    .is_idle = http2_is_idle,
    .holds_head = http2_holds_head,
    .unsent = http2_unsent,
    .drop = http2_drop,
};

void ml_http2_request_init(struct ml_http2_request *r, struct ml_http2_client *c)
{
    memset(r, 0, offsetof(struct ml_http2_request, trailer_fields));
    ml_http_client_init(&r->x, c->session.stream);
    r->x.carrier = &carrier;
    r->client = c;
    r->is_counted = true;
    c->count++;
    ml_http2_flow_init(&r->flow, &c->session);
}

/* The error of a task whose stream was closed with that code before its response was whole. */
static int explain(struct ml_http2_request *r, uint32_t code)
{
    struct ml_http_client_exchange *x = &r->x;
    if (code == NGHTTP2_REFUSED_STREAM) {
        x->is_refused = true;
        x->problem = "the server refused the request";
        return -ECONNRESET;
    }
    if (r->has_reset) {
        x->problem = ml_http2_reason(ML_HTTP2_RESET, code);
        return code == NGHTTP2_NO_ERROR ? -ML_EEOF : -ECONNRESET;
    }
    x->problem = code == NGHTTP2_NO_ERROR ? NULL : "it breaks the rules of HTTP/2";
    return code == NGHTTP2_NO_ERROR ? -ML_EEOF : -EPROTO;
}

void ml_http2_request_closed(struct ml_http2_request *r, uint32_t code)
{
    leave(r);
    if (r->failure == 0 && !r->flow.input_ended)
        r->failure = r->flow.is_torn ? -ENOMEM : explain(r, code);
    ml_http2_flow_close(&r->flow);
}

void ml_http2_request_release(struct ml_http2_request *r)
{
    ml_http2_request_end(r, -ML_ECLOSED, NULL);
    ml_http2_flow_release(&r->flow);
    ml_http2_head_release(&r->coming);
    ml_buffer_release(&r->text);
    ml_buffer_release(&r->trailer_text);
    ml_http_client_release(&r->x);
}

void ml_http2_request_fail(struct ml_http2_request *r, int error, const char *problem)
{
    r->failure = error;
    r->x.problem = problem;
    ml_http2_flow_reset(&r->flow, NGHTTP2_PROTOCOL_ERROR);
    ml_wake_all(hub_of(r), &r->flow.waiters);
}
