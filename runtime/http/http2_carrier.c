#include "http/http2_carrier.h"

#include "base/error.h"
#include "http/answer.h"
#include "http/http2_fields.h"
#include "http/http2_stream.h"
#include "http/http2_tunnel.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static struct ml_hub *hub_of(const struct ml_http2_stream *s)
{
    return s->peer->server->io->hub;
}

/* ---- the request's body ---- */

static int send_continue(struct ml_http2_stream *s);

static bool is_over_limit(const struct ml_http2_stream *s)
{
    const struct ml_http_exchange *x = &s->x;
    bool promises_more =
        x->head.content_length > 0 && (uint64_t)x->head.content_length > x->max_body;
    return promises_more || x->body_read + ml_buffer_size(&s->flow.in) > x->max_body;
}

static int read_body(struct ml_http2_stream *s, size_t max, struct ml_piece_of_input *piece)
{
    if (!s->continue_sent && s->x.head.expects_continue && ml_buffer_size(&s->flow.in) == 0)
        send_continue(s);
    ml_time deadline = ml_time_after(ml_hub_now(hub_of(s)), s->x.read_timeout);
    int result = is_over_limit(s) ? -EMSGSIZE : ml_http2_flow_await_input(&s->flow, deadline);
    if (result == 0 && is_over_limit(s))
        result = -EMSGSIZE;
    if (result != 0)
        return result;
    size_t size = ml_buffer_size(&s->flow.in);
    *piece = (struct ml_piece_of_input){.data = ml_buffer_data(&s->flow.in)};
    piece->size = piece->taken = size < max ? size : max;
    return 0;
}

static int http2_read_body(struct ml_http_exchange *x, size_t max, struct ml_piece_of_input *piece)
{
    x->is_body_begun = true;
    if (x->body_error != 0 || x->is_body_read)
        return x->is_body_read ? 1 : x->body_error;
    int result = ml_cancel_point(x->server->io->hub);
    if (result == 0)
        result = read_body(ml_http2_stream_of(x), max, piece);
    x->is_body_read = result == 1;
    if (result < 0 && result != -ECANCELED)
        x->body_error = result;
    return result;
}

static void http2_consume(struct ml_http_exchange *x, const struct ml_piece_of_input *piece)
{
    x->body_read += piece->taken;
    ml_http2_flow_consume(&ml_http2_stream_of(x)->flow, piece->taken);
}

static const struct ml_http_head *http2_trailers(struct ml_http_exchange *x)
{
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    return x->is_body_read && s->trailer_fields != NULL ? &s->trailers : NULL;
}

/* ---- heads ---- */

/* All but those that HTTP/2 has no use for. True: `date` was among them. */
static bool add_pairs(struct ml_http2_fields *f, const struct ml_http_pair *pairs, int count)
{
    bool has_date = false;
    for (int i = 0; i < count; i++) {
        const struct ml_http_pair *pair = &pairs[i];
        if (ml_http_pair_is_framing(pair))
            continue;
        ml_http2_fields_add(f, pair->name, pair->name_size, pair->value, pair->value_size);
        has_date |= pair->name_size == 4 && strncasecmp(pair->name, "date", 4) == 0;
    }
    return has_date;
}

/* Fields of ours beside the application's. */
enum { OWN_FIELDS = 3 };

static int make_head(struct ml_http2_stream *s, const struct ml_http_answer *answer,
                     struct ml_http2_fields *f)
{
    int error = ml_http2_fields_init(f, (size_t)answer->pair_count + OWN_FIELDS);
    if (error != 0)
        return error;
    ml_http2_fields_add_number(f, ":status", (uint64_t)answer->status);
    bool has_date = add_pairs(f, answer->pairs, answer->pair_count);
    if (answer->status >= 200 && !has_date)
        ml_http2_fields_add(f, "date", 4, ml_http_server_date(s->x.server), 29);
    if (answer->length >= 0 && !ml_http_status_is_bare(answer->status))
        ml_http2_fields_add_number(f, "content-length", (uint64_t)answer->length);
    return 0;
}

static void http2_abort(struct ml_http_exchange *x)
{
    if (x->phase == ML_HTTP_COMPLETE || x->phase == ML_HTTP_BROKEN)
        return;
    if (x->phase == ML_HTTP_HIJACKED) { /* its handler has ended: what it wrote still leaves */
        ml_http2_tunnel_close(&ml_http2_stream_of(x)->flow);
        x->phase = ML_HTTP_COMPLETE;
        return;
    }
    x->phase = ML_HTTP_BROKEN;
    ml_http2_flow_reset(&ml_http2_stream_of(x)->flow, NGHTTP2_INTERNAL_ERROR);
}

static int fail_on(struct ml_http_exchange *x, int error)
{
    if (error != 0)
        http2_abort(x);
    return error;
}

static int error_of(int result)
{
    return result == 0 ? 0 : result == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPIPE;
}

static int submit_interim(struct ml_http2_stream *s, const struct ml_http_answer *answer)
{
    struct ml_http2_session *c = &s->peer->session;
    struct ml_http2_fields f;
    int error = ml_http2_flow_check(&s->flow);
    if (error == 0)
        error = make_head(s, answer, &f);
    if (error != 0)
        return error;
    error = error_of(c->n->nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, s->flow.id, NULL,
                                                  f.list, f.count, NULL));
    ml_http2_fields_release(&f);
    ml_http2_session_kick(c);
    return error;
}

static int send_continue(struct ml_http2_stream *s)
{
    struct ml_http_answer answer = {.status = 100, .length = -1};
    s->continue_sent = true;
    return submit_interim(s, &answer);
}

static int http2_inform(struct ml_http_exchange *x, const struct ml_http_answer *answer)
{
    int error = ml_cancel_point(x->server->io->hub);
    return error == 0 ? fail_on(x, submit_interim(ml_http2_stream_of(x), answer)) : error;
}

/* ---- the answer's body ---- */

/* To a client that asks for a WebSocket any 2xx says that there is one. */
static struct ml_http_answer refuse_websocket(const struct ml_http_answer *answer)
{
    struct ml_http_answer other = *answer;
    other.status = answer->status / 100 == 2 ? 501 : answer->status;
    return other;
}

/* has_body: bytes follow by and by. */
static int submit_head(struct ml_http2_stream *s, const struct ml_http_answer *answer,
                       bool has_body)
{
    struct ml_http_answer other;
    struct ml_http2_session *c = &s->peer->session;
    nghttp2_data_provider provider = ml_http2_flow_provider(&s->flow);
    struct ml_http2_fields f;
    int error = ml_http2_flow_check(&s->flow);
    if (s->is_websocket && s->x.phase != ML_HTTP_HIJACKED) {
        other = refuse_websocket(answer);
        answer = &other;
    }
    if (error == 0)
        error = make_head(s, answer, &f);
    if (error != 0)
        return error;
    s->x.status = answer->status;
    if (s->x.phase != ML_HTTP_HIJACKED)
        s->x.phase = ML_HTTP_HEADED;
    s->answer_left = answer->length;
    error = error_of(c->n->nghttp2_submit_response(c->session, s->flow.id, f.list, f.count,
                                                   has_body ? &provider : NULL));
    ml_http2_fields_release(&f);
    ml_http2_session_kick(c);
    return error;
}

static bool has_no_body(const struct ml_http_exchange *x)
{
    return x->is_head || ml_http_status_is_bare(x->status);
}

static int http2_send_head(struct ml_http_exchange *x, const struct ml_http_answer *answer)
{
    int error = ml_cancel_point(x->server->io->hub);
    if (error != 0)
        return error;
    bool has_body = !x->is_head && !ml_http_status_is_bare(answer->status);
    return fail_on(x, submit_head(ml_http2_stream_of(x), answer, has_body));
}

static struct ml_http2_patience patience_of(const struct ml_http2_stream *s)
{
    return (struct ml_http2_patience){.span = s->x.write_timeout, .deadline = ML_FOREVER};
}

/* Takes `size` bytes off what the answer promises: 0; -EMSGSIZE: it promised fewer. */
static int spend(struct ml_http2_stream *s, uint64_t size)
{
    if (s->answer_left < 0)
        return 0;
    if (size > (uint64_t)s->answer_left)
        return -EMSGSIZE;
    s->answer_left -= (int64_t)size;
    return 0;
}

static int put_pieces(struct ml_http2_stream *s, const struct iovec *pieces, int count)
{
    int error = ml_http2_flow_check(&s->flow);
    for (int i = 0; error == 0 && i < count; i++) {
        error = spend(s, pieces[i].iov_len);
        if (error == 0)
            error =
                ml_http2_flow_put(&s->flow, pieces[i].iov_base, pieces[i].iov_len, patience_of(s));
        s->x.body_sent += error == 0 ? pieces[i].iov_len : 0;
    }
    return error;
}

static int http2_send_body(struct ml_http_exchange *x, struct iovec *pieces, int count)
{
    int error = ml_cancel_point(x->server->io->hub);
    if (error != 0)
        return error;
    if (x->phase != ML_HTTP_HEADED)
        return -EPIPE;
    return has_no_body(x) ? 0 : fail_on(x, put_pieces(ml_http2_stream_of(x), pieces, count));
}

/* All bytes have been put. A few may still wait when the handler has ended. */
static int finish(struct ml_http2_stream *s)
{
    struct ml_http_exchange *x = &s->x;
    int error = !has_no_body(x) && s->answer_left > 0 ? -ML_EEOF : 0;
    if (error == 0 && !has_no_body(x))
        error = ml_http2_flow_end_output(&s->flow, patience_of(s));
    if (error == 0)
        x->phase = ML_HTTP_COMPLETE;
    return error;
}

/* The pairs as trailers, in a block that stays until the stream has ended. */
static int keep_trailers(struct ml_http2_stream *s, const struct ml_http_pair *pairs, int count)
{
    struct ml_http2_fields f;
    int error = ml_http2_fields_init(&f, (size_t)count);
    if (error != 0)
        return error;
    add_pairs(&f, pairs, count);
    s->flow.end_fields = ml_http2_fields_copy(&f);
    s->flow.end_field_count = f.count;
    ml_http2_fields_release(&f);
    return s->flow.end_fields != NULL ? 0 : -ENOMEM;
}

static int http2_end(struct ml_http_exchange *x, const struct ml_http_pair *trailers, int count)
{
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    if (x->phase != ML_HTTP_HEADED)
        return -EPIPE;
    int error = count > 0 && !has_no_body(x) ? keep_trailers(s, trailers, count) : 0;
    return fail_on(x, error == 0 ? finish(s) : error);
}

static int http2_send_whole(struct ml_http_exchange *x, const struct ml_http_answer *answer,
                            struct iovec *pieces, int count)
{
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    bool has_body = !x->is_head && !ml_http_status_is_bare(answer->status) && answer->length > 0;
    int error = ml_cancel_point(x->server->io->hub);
    if (error != 0)
        return error;
    error = submit_head(s, answer, has_body);
    if (error == 0 && has_body) {
        error = put_pieces(s, pieces, count);
        if (error == 0)
            error = finish(s);
    } else if (error == 0) {
        x->phase = ML_HTTP_COMPLETE;
    }
    return fail_on(x, error);
}

static int put_file(struct ml_http2_stream *s, int file, off_t offset, uint64_t count,
                    uint64_t *sent)
{
    int error = spend(s, count);
    while (error == 0 && *sent < count) {
        ssize_t size = ml_http2_flow_put_file(&s->flow, file, offset + (off_t)*sent, count - *sent,
                                              patience_of(s));
        error = size < 0 ? (int)size : size == 0 ? -ML_EEOF : 0;
        *sent += size > 0 ? (uint64_t)size : 0;
    }
    s->x.body_sent += *sent;
    return error;
}

static int http2_send_file(struct ml_http_exchange *x, int file, off_t offset, uint64_t count,
                           uint64_t *sent)
{
    int error = ml_cancel_point(x->server->io->hub);
    *sent = 0;
    if (error != 0)
        return error;
    if (x->phase != ML_HTTP_HEADED)
        return -EPIPE;
    if (!has_no_body(x))
        error = put_file(ml_http2_stream_of(x), file, offset, count, sent);
    return fail_on(x, error);
}

/* Frames leave by themselves. */
static int http2_flush(struct ml_http_exchange *x)
{
    int error = ml_cancel_point(x->server->io->hub);
    return error == 0 ? ml_http2_flow_check(&ml_http2_stream_of(x)->flow) : error;
}

/* ---- the peer ---- */

static void http2_heed(struct ml_http_exchange *x)
{
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    if (ml_http2_flow_check(&s->flow) != 0)
        ml_http2_stream_gone(s);
}

static bool http2_gone(struct ml_http_exchange *x)
{
    return x->phase != ML_HTTP_COMPLETE && ml_http2_flow_check(&ml_http2_stream_of(x)->flow) != 0;
}

static int http2_watch(struct ml_http_exchange *x, struct ml_waiter *waiter, ml_time *again)
{
    (void)again;
    ml_list_insert(&ml_http2_stream_of(x)->flow.waiters, &waiter->link);
    return 0;
}

static void http2_unwatch(struct ml_http_exchange *x)
{
    (void)x;
}

static int http2_hijack(struct ml_http_exchange *x)
{
    (void)x;
    return -EOPNOTSUPP;
}

static int http2_tunnel(struct ml_http_exchange *x, const struct ml_http_answer *answer,
                        struct ml_stream *stream)
{
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    int error = ml_cancel_point(x->server->io->hub);
    if (error != 0)
        return error;
    if (!s->is_websocket)
        return -EOPNOTSUPP;
    if (x->phase != ML_HTTP_UNSENT)
        return -EPIPE;
    x->phase = ML_HTTP_HIJACKED;
    error = submit_head(s, answer, true);
    if (error == 0)
        ml_http2_tunnel_open(&s->flow, stream);
    else
        x->phase = ML_HTTP_BROKEN;
    return error;
}

static const struct ml_http_carrier http2_carrier = {
    .read_body = http2_read_body,
    .consume = http2_consume,
    .send_whole = http2_send_whole,
    .send_head = http2_send_head,
    .send_body = http2_send_body,
    .send_file = http2_send_file,
    .end = http2_end,
    .flush = http2_flush,
    .inform = http2_inform,
    .abort = http2_abort,
    .gone = http2_gone,
    .watch = http2_watch,
    .unwatch = http2_unwatch,
    .heed = http2_heed,
    .hijack = http2_hijack,
    .tunnel = http2_tunnel,
    .trailers = http2_trailers,
};

void ml_http2_carrier_begin(struct ml_http2_stream *s)
{
    struct ml_http_server *server = s->peer->server;
    struct ml_stream *stream = s->peer->session.stream;
    struct ml_http_head head = s->x.head;
    /* Without a length the body has the end that the stream has. */
    if (head.body == ML_HTTP_NO_BODY && !s->flow.input_ended && !s->is_websocket)
        head.body = ML_HTTP_UNTIL_CLOSE;
    s->x = (struct ml_http_exchange){
        .carrier = &http2_carrier,
        .server = server,
        .stream = stream,
        .head = head,
        .scheme = stream->tls != NULL ? "https" : "http",
        .max_body = server->max_body,
        .read_timeout = server->timeouts.read,
        .write_timeout = server->timeouts.write,
        .began = s->peer->session.received_at,
        .version = 20,
        .on_gone = server->on_gone,
        .is_head = head.method_id == ML_HTTP_HEAD,
        .is_body_read = s->flow.input_ended || s->is_websocket,
    };
}
