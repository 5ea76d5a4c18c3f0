/* The HTTP/1.1 side of a client: RFC 9112. */
#include "http/client_exchange.h"

#include "base/error.h"
#include "http/framing.h"

#include <stdio.h>
#include <string.h>

/* Interim responses to one request, and empty reads; more is an attack. */
enum { INTERIM_MOST = 16 };

/* Bytes of a head, and of trailers, unless the caller says otherwise. */
enum { HEAD_MOST = 64 * 1024 };

/* A buffer for heads that grew beyond this is not kept. */
enum { OUT_KEPT = 16 * 1024 };

/* ---- the request ---- */

static void put(struct ml_buffer *out, const char *text, size_t size)
{
    memcpy(ml_buffer_end(out), text, size);
    ml_buffer_commit(out, size);
}

static void put_text(struct ml_buffer *out, const char *text)
{
    put(out, text, strlen(text));
}

/* Bytes that the head takes at most. */
static size_t head_room(const struct ml_http_client_request *request)
{
    enum { LINE_AND_FRAMING = 128, AROUND_FIELD = 4 };
    size_t room = request->method_size + request->target_size + LINE_AND_FRAMING;
    struct ml_http_client_field field;
    for (size_t at = 0; request->next(request->fields, &at, &field);)
        room += field.name_size + field.value_size + AROUND_FIELD;
    return room;
}

static void put_framing(struct ml_buffer *out, const struct ml_http_client_request *request)
{
    char line[64];
    if (request->body == ML_HTTP_CLIENT_SIZED) {
        int size = snprintf(line, sizeof line, "content-length: %llu\r\n",
                            (unsigned long long)request->length);
        put(out, line, (size_t)size);
    } else if (request->body == ML_HTTP_CLIENT_STREAMED)
        put_text(out, "transfer-encoding: chunked\r\n");
}

static int write_head(struct ml_buffer *out, const struct ml_http_client_request *request)
{
    ml_buffer_consume(out, ml_buffer_size(out));
    if (ml_buffer_reserve(out, head_room(request)) != 0)
        return -ENOMEM;
    put(out, request->method, request->method_size);
    put_text(out, " ");
    put(out, request->target, request->target_size);
    put_text(out, " HTTP/1.1\r\n");
    struct ml_http_client_field field;
    for (size_t at = 0; request->next(request->fields, &at, &field);) {
        put(out, field.name, field.name_size);
        put_text(out, ": ");
        put(out, field.value, field.value_size);
        put_text(out, "\r\n");
    }
    put_framing(out, request);
    put_text(out, "\r\n");
    return 0;
}

/* Writes the pieces, the first byte of which is out by the deadline or never. */
static int write_pieces(struct ml_http_client_exchange *x, struct iovec *pieces, int count,
                        ml_time deadline)
{
    struct ml_stream *s = x->stream;
    ml_time now = ml_hub_now(s->io->hub);
    bool has_limit = deadline != ML_FOREVER && deadline != ML_NEVER_WAIT;
    s->write_timeout = !has_limit ? deadline : deadline > now ? deadline - now : 1;
    size_t sent = 0;
    int error = ml_stream_write(s, pieces, count, &sent);
    x->sent += sent;
    if (error != 0)
        x->is_reusable = false;
    return error;
}

static size_t size_of(const struct iovec *pieces, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

static void begin(struct ml_http_client_exchange *x, const struct ml_http_client_request *request)
{
    x->method = ml_http_client_method(request->method, request->method_size);
    x->is_streamed = request->body == ML_HTTP_CLIENT_STREAMED;
    x->body_left = request->body == ML_HTTP_CLIENT_SIZED ? request->length : 0;
    x->phase = ML_HTTP_CLIENT_AWAITING;
    x->is_sending = x->is_reusable = true;
    x->has_answer = false;
    x->problem = NULL;
    x->sent = x->head_size = x->pending = 0;
}

/* Head and first pieces leave in one write; of a body in chunks the head leaves alone. */
static int http1_send(struct ml_http_client_exchange *x,
                      const struct ml_http_client_request *request, struct iovec *pieces, int count,
                      ml_time deadline)
{
    enum { PIECES = 16 };
    begin(x, request);
    int error = write_head(&x->out, request);
    if (error != 0)
        return error;
    struct iovec all[PIECES + 1] = {{x->out.memory + x->out.start, ml_buffer_size(&x->out)}};
    bool is_joined = !x->is_streamed && count <= PIECES && size_of(pieces, count) <= x->body_left;
    if (is_joined && count > 0)
        memcpy(all + 1, pieces, (size_t)count * sizeof *pieces);
    if (is_joined)
        x->body_left -= size_of(pieces, count);
    error = write_pieces(x, all, is_joined ? count + 1 : 1, deadline);
    if (x->out.capacity > OUT_KEPT)
        ml_buffer_release(&x->out);
    if (error == 0 && !is_joined && count > 0)
        error = x->carrier->write(x, pieces, count, deadline);
    if (error == 0 && request->body != ML_HTTP_CLIENT_STREAMED && x->body_left == 0)
        x->is_sending = false;
    return error;
}

static int write_chunk(struct ml_http_client_exchange *x, struct iovec *pieces, int count,
                       size_t size, ml_time deadline)
{
    char line[ML_HTTP_CHUNK_LINE];
    struct iovec before = {line, ml_http_chunk_line(line, size)}, after = {(char *)"\r\n", 2};
    enum { PIECES = 16 };
    struct iovec all[PIECES + 2] = {before};
    if (count <= PIECES) {
        memcpy(all + 1, pieces, (size_t)count * sizeof *pieces);
        all[count + 1] = after;
        return write_pieces(x, all, count + 2, deadline);
    }
    int error = write_pieces(x, &before, 1, deadline);
    if (error == 0)
        error = write_pieces(x, pieces, count, deadline);
    return error == 0 ? write_pieces(x, &after, 1, deadline) : error;
}

static int http1_write(struct ml_http_client_exchange *x, struct iovec *pieces, int count,
                       ml_time deadline)
{
    size_t size = size_of(pieces, count);
    if (size == 0)
        return 0;
    if (x->is_streamed)
        return write_chunk(x, pieces, count, size, deadline);
    if (size > x->body_left) {
        x->is_reusable = false;
        return -EPROTO;
    }
    x->body_left -= size;
    return write_pieces(x, pieces, count, deadline);
}

static int http1_end(struct ml_http_client_exchange *x, ml_time deadline)
{
    int error = 0;
    if (!x->is_sending)
        return 0;
    struct iovec last = {(char *)"0\r\n\r\n", 5};
    if (x->is_streamed)
        error = write_pieces(x, &last, 1, deadline);
    else if (x->body_left > 0) {
        x->is_reusable = false;
        error = -EPROTO;
    }
    if (error == 0)
        x->is_sending = false;
    return error;
}

/* ---- the head of the response ---- */

static int refuse(struct ml_http_client_exchange *x, int error)
{
    bool is_limit = error == ML_HTTP_HEAD_TOO_LONG || error == ML_HTTP_TOO_MANY_FIELDS;
    x->problem = ml_http_error_text(error);
    x->is_reusable = false;
    return is_limit ? -EMSGSIZE : -EPROTO;
}

static struct ml_http_limits limits_of(const struct ml_http_client_exchange *x)
{
    return (struct ml_http_limits){(uint32_t)x->max_head, (uint32_t)x->max_head,
                                   ML_HTTP_CLIENT_FIELDS};
}

/* One head at the front of the input, whole: 0 with its size in x->head_size. */
static int receive_one(struct ml_http_client_exchange *x, ml_time deadline)
{
    struct ml_stream *s = x->stream;
    struct ml_http_limits limits = limits_of(x);
    size_t seen = 0;
    ml_http_head_init(&x->head, x->fields, ML_HTTP_CLIENT_FIELDS);
    while (true) {
        size_t size = ml_buffer_size(&s->in);
        int parsed = size == seen ? 0
                                  : ml_http_parse_response(&x->head, ml_buffer_data(&s->in), size,
                                                           seen, &limits);
        if (parsed < 0)
            return refuse(x, parsed);
        x->has_answer = x->has_answer || size > 0;
        x->head_size = (size_t)parsed;
        if (parsed > 0)
            return 0;
        seen = size;
        int result = ml_stream_receive_more(s, deadline);
        if (result != 0)
            return result == 1 ? -ML_EEOF : result;
    }
}

static void http1_consume_head(struct ml_http_client_exchange *x)
{
    ml_stream_consume(x->stream, x->head_size);
    x->head_size = 0;
}

static bool is_interim(const struct ml_http_head *head)
{
    return head->status < 200 && head->status != 101;
}

/* The one head that the caller wants is there. */
static int begin_body(struct ml_http_client_exchange *x)
{
    int error = ml_http_response_framing(&x->head, x->method);
    if (error < 0)
        return refuse(x, error);
    if (x->head.status == 101) {
        x->problem = "the server changed the protocol, which nobody asked for";
        x->is_reusable = false;
        return -EPROTO;
    }
    x->is_reusable = x->is_reusable && x->head.keep_alive;
    x->left = x->head.body == ML_HTTP_SIZED ? (uint64_t)x->head.content_length : 0;
    ml_http_chunked_begin(&x->chunked);
    ml_http_head_init(&x->trailers, x->fields, ML_HTTP_CLIENT_FIELDS);
    x->phase = ML_HTTP_CLIENT_RECEIVING;
    return 0;
}

static int http1_receive(struct ml_http_client_exchange *x, bool stops_at_continue,
                         ml_time deadline)
{
    for (int interim = 0; interim <= INTERIM_MOST; interim++) {
        int error = receive_one(x, deadline);
        if (error != 0) {
            x->is_reusable = x->is_reusable && error == -ETIMEDOUT; /* it may be called again */
            return error;
        }
        if (!is_interim(&x->head))
            return begin_body(x);
        if (stops_at_continue && x->head.status == 100)
            return 0;
        http1_consume_head(x);
    }
    x->problem = "there are too many interim responses";
    x->is_reusable = false;
    return -EPROTO;
}

/* ---- the body of the response ---- */

/* More input is needed: 0, 1: the connection has ended, or an error. */
static int more(struct ml_http_client_exchange *x, ml_time deadline)
{
    return ml_stream_receive_more(x->stream, deadline);
}

/* The input that is there, at most `max` bytes: waits for one. 1: the end of the connection. */
static int read_raw(struct ml_http_client_exchange *x, size_t max, struct ml_piece_of_input *piece,
                    ml_time deadline)
{
    struct ml_stream *s = x->stream;
    int result = 0;
    while (result == 0 && ml_buffer_size(&s->in) == 0)
        result = more(x, deadline);
    size_t size = result == 0 ? ml_buffer_size(&s->in) : 0;
    size = size < max ? size : max;
    *piece = (struct ml_piece_of_input){ml_buffer_data(&s->in), size, size};
    return result;
}

static int read_sized(struct ml_http_client_exchange *x, size_t max,
                      struct ml_piece_of_input *piece, ml_time deadline)
{
    if (x->left == 0)
        return 1;
    int result = read_raw(x, x->left < max ? (size_t)x->left : max, piece, deadline);
    if (result == 0)
        x->left -= piece->size;
    return result == 1 ? -ML_EEOF : result;
}

/* The section behind the last chunk: 1, or an error. */
static int read_trailers(struct ml_http_client_exchange *x, ml_time deadline)
{
    struct ml_stream *s = x->stream;
    struct ml_http_limits limits = limits_of(x);
    for (size_t seen = 0;;) {
        size_t size = ml_buffer_size(&s->in);
        int parsed = size == seen ? 0
                                  : ml_http_parse_trailers(&x->trailers, ml_buffer_data(&s->in),
                                                           size, seen, &limits);
        if (parsed < 0)
            return refuse(x, parsed);
        x->head_size = (size_t)parsed;
        if (parsed > 0)
            return 1;
        seen = size;
        int result = more(x, deadline);
        if (result != 0)
            return result == 1 ? -ML_EEOF : result;
    }
}

static int read_chunked(struct ml_http_client_exchange *x, size_t max,
                        struct ml_piece_of_input *piece, ml_time deadline)
{
    while (!ml_http_chunked_is_over(&x->chunked)) {
        struct ml_piece_of_input raw;
        int result = read_raw(x, max, &raw, deadline);
        if (result != 0)
            return result == 1 ? -ML_EEOF : result;
        struct ml_http_text payload = {0};
        ptrdiff_t taken = ml_http_chunked_feed(&x->chunked, raw.data, raw.size, &payload);
        if (taken < 0)
            return refuse(x, (int)taken);
        *piece = (struct ml_piece_of_input){payload.at, payload.size, (size_t)taken};
        if (payload.size > 0)
            return 0;
        ml_stream_consume(x->stream, (size_t)taken);
    }
    return read_trailers(x, deadline);
}

static int read_framed(struct ml_http_client_exchange *x, size_t max,
                       struct ml_piece_of_input *piece, ml_time deadline)
{
    switch ((enum ml_http_body)x->head.body) {
    case ML_HTTP_SIZED:
        return read_sized(x, max, piece, deadline);
    case ML_HTTP_CHUNKED:
        return read_chunked(x, max, piece, deadline);
    case ML_HTTP_UNTIL_CLOSE:
        return read_raw(x, max, piece, deadline);
    case ML_HTTP_NO_BODY:
    case ML_HTTP_TUNNEL:
        break;
    }
    return 1;
}

static int http1_read(struct ml_http_client_exchange *x, size_t max,
                      struct ml_piece_of_input *piece, ml_time deadline)
{
    if (x->phase == ML_HTTP_CLIENT_OVER)
        return 1;
    if (x->phase != ML_HTTP_CLIENT_RECEIVING || x->pending > 0)
        return -ML_ECLOSED;
    int result = read_framed(x, max, piece, deadline);
    if (result == 0)
        x->pending = piece->taken;
    else if (result == 1)
        x->phase = ML_HTTP_CLIENT_OVER;
    else if (result != -ETIMEDOUT && result != -ECANCELED)
        x->phase = ML_HTTP_CLIENT_IDLE;
    if (result < 0)
        x->is_reusable = false;
    return result;
}

static void http1_consume(struct ml_http_client_exchange *x, const struct ml_piece_of_input *piece)
{
    ml_stream_consume(x->stream, piece->taken);
    x->pending = 0;
}

/* Bytes behind a request that is not whole would be taken for the rest of it. */
static bool http1_finish(struct ml_http_client_exchange *x)
{
    if (x->phase != ML_HTTP_CLIENT_OVER)
        return false;
    http1_consume_head(x);
    x->phase = ML_HTTP_CLIENT_IDLE;
    return x->is_reusable && !x->is_sending && ml_stream_is_open(x->stream) &&
           !ml_stream_has_input(x->stream);
}

static bool http1_is_idle(struct ml_http_client_exchange *x)
{
    return x->phase == ML_HTTP_CLIENT_IDLE && ml_stream_is_open(x->stream) &&
           ml_stream_look(x->stream) == -EAGAIN;
}

static bool http1_holds_head(const struct ml_http_client_exchange *x)
{
    return ml_stream_is_open(x->stream);
}

/* The connection is of no use any more: its owner closes it. */
static void http1_drop(struct ml_http_client_exchange *x)
{
    x->is_reusable = false;
}

static const struct ml_http_client_carrier http1 = {
    .send = http1_send,
    .write = http1_write,
    .end = http1_end,
    .receive = http1_receive,
    .consume_head = http1_consume_head,
    .read = http1_read,
    .consume = http1_consume,
    .finish = http1_finish,
    .is_idle = http1_is_idle,
    .holds_head = http1_holds_head,
    .drop = http1_drop,
};

void ml_http_client_init(struct ml_http_client_exchange *x, struct ml_stream *stream)
{
    *x = (struct ml_http_client_exchange){
        .carrier = &http1, .stream = stream, .max_head = HEAD_MOST, .is_reusable = true};
}

void ml_http_client_release(struct ml_http_client_exchange *x)
{
    ml_buffer_release(&x->out);
}

enum ml_http_method ml_http_client_method(const char *text, size_t size)
{
    static const char *const names[] = {"",       "GET",   "HEAD",    "POST",    "PUT",
                                        "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"};
    for (size_t i = 1; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && memcmp(names[i], text, size) == 0)
            return (enum ml_http_method)i;
    return ML_HTTP_METHOD_OTHER;
}
