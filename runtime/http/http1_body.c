#include "http/http1_body.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ml_http1_begin_body(struct ml_http1 *r)
{
    struct ml_http_exchange *x = &r->x;
    r->body_left = x->head.body == ML_HTTP_SIZED ? (uint64_t)x->head.content_length : 0;
    r->trailers = NULL;
    r->continue_sent = false;
    x->is_body_read = x->head.body == ML_HTTP_NO_BODY || (!x->head.is_chunked && r->body_left == 0);
    if (x->head.is_chunked)
        ml_http_chunked_begin(&r->chunks);
}

/* The peer may wait for this before it sends a body; one that has begun to send does not. */
static int ask_to_go_on(struct ml_http1 *r)
{
    static const struct ml_http_answer go_on = {.status = 100};
    struct ml_http_exchange *x = &r->x;
    bool is_asked = x->head.expects_continue && !x->is_body_begun && x->phase == ML_HTTP_UNSENT;
    x->is_body_begun = true;
    if (!is_asked)
        return 0;
    r->continue_sent = true;
    return ml_stream_has_input(x->stream) ? 0 : x->carrier->inform(x, &go_on);
}

/* Waits for input, if there is none. What is to be sent is sent before. */
static int await_input(struct ml_http1 *r, ml_time deadline)
{
    if (ml_stream_has_input(r->x.stream))
        return 0;
    int error = ml_http_outbox_flush(&r->connection->out);
    return error == 0 ? ml_stream_receive_more(r->x.stream, deadline) : error;
}

static void take(struct ml_stream *s, size_t size, struct ml_piece_of_input *piece)
{
    *piece =
        (struct ml_piece_of_input){.data = ml_buffer_data(&s->in), .size = size, .taken = size};
}

static size_t smaller(size_t a, uint64_t b)
{
    return a < b ? a : (size_t)b;
}

static int read_sized(struct ml_http1 *r, size_t max, ml_time deadline,
                      struct ml_piece_of_input *piece)
{
    struct ml_stream *s = r->x.stream;
    int result = await_input(r, deadline);
    if (result != 0)
        return result;
    size_t there = smaller(ml_buffer_size(&s->in), r->body_left);
    take(s, smaller(there, max), piece);
    return 0;
}

/* ---- chunks ---- */

/* The trailers of a chunked body, with their bytes. */
struct ml_http1_trailers {
    struct ml_http_head head;
    struct ml_http_field fields[ML_HTTP1_FIELDS];
    char *bytes;
};

static int keep_trailers(struct ml_http1 *r, const char *bytes, size_t size)
{
    struct ml_http1_trailers *t = r->trailers;
    t->bytes = ml_http_memory_take(r->x.server, size);
    if (t->bytes == NULL)
        return -ENOMEM;
    memcpy(t->bytes, bytes, size);
    t->head.bytes = t->bytes;
    return 0;
}

static int syntax_error(struct ml_http1 *r, int error)
{
    r->x.syntax_error = error;
    return -EPROTO;
}

/* Reads the fields behind the last chunk: 1, or an error. */
static int read_trailers(struct ml_http1 *r, ml_time deadline)
{
    struct ml_stream *s = r->x.stream;
    const struct ml_http_limits *limits = &r->x.server->limits;
    struct ml_http1_trailers *t = r->trailers;
    size_t seen = r->trailers_seen;
    for (;;) {
        size_t size = ml_buffer_size(&s->in);
        int length = ml_http_parse_trailers(&t->head, ml_buffer_data(&s->in), size, seen, limits);
        if (length < 0)
            return syntax_error(r, length);
        if (length > 0) {
            int error = keep_trailers(r, ml_buffer_data(&s->in), (size_t)length);
            ml_stream_consume(s, (size_t)length);
            return error != 0 ? error : 1;
        }
        r->trailers_seen = seen = size;
        int error = ml_http_outbox_flush(&r->connection->out);
        if (error == 0)
            error = ml_stream_receive_more(s, deadline);
        if (error != 0)
            return error == 1 ? -ML_EEOF : error;
    }
}

static int begin_trailers(struct ml_http1 *r)
{
    if (r->trailers == NULL) {
        r->trailers = ml_http_memory_take(r->x.server, sizeof *r->trailers);
        if (r->trailers == NULL)
            return -ENOMEM;
        r->trailers->bytes = NULL;
        r->trailers_seen = 0;
        ml_http_head_init(&r->trailers->head, r->trailers->fields, ML_HTTP1_FIELDS);
    }
    return 0;
}

static int end_chunks(struct ml_http1 *r, ml_time deadline)
{
    int result = begin_trailers(r);
    if (result == 0)
        result = read_trailers(r, deadline);
    r->x.is_body_read = result == 1;
    return result;
}

/* Steps over the framing before the data of a chunk, and finds how much of that is there. 0; 1: the
 * last chunk has come; or an error. */
static int find_data(struct ml_http1 *r)
{
    struct ml_stream *s = r->x.stream;
    struct ml_http_text data;
    ptrdiff_t taken =
        ml_http_chunked_feed(&r->chunks, ml_buffer_data(&s->in), ml_buffer_size(&s->in), &data);
    if (taken < 0)
        return syntax_error(r, (int)taken);
    ml_stream_consume(s, (size_t)taken - data.size);
    r->body_left = data.size;
    return ml_http_chunked_is_over(&r->chunks) ? 1 : 0;
}

static int read_chunked(struct ml_http1 *r, size_t max, ml_time deadline,
                        struct ml_piece_of_input *piece)
{
    int result = ml_http_chunked_is_over(&r->chunks) ? 1 : 0;
    while (result == 0 && r->body_left == 0) {
        result = await_input(r, deadline);
        if (result == 0)
            result = find_data(r);
        else if (result == 1)
            result = -ML_EEOF;
    }
    if (result == 0)
        take(r->x.stream, smaller(max, r->body_left), piece);
    return result == 1 ? end_chunks(r, deadline) : result;
}

/* ---- both ---- */

static int read_some(struct ml_http1 *r, size_t max, ml_time deadline,
                     struct ml_piece_of_input *piece)
{
    struct ml_http_exchange *x = &r->x;
    if (x->is_body_read)
        return 1;
    int result = x->head.is_chunked ? read_chunked(r, max, deadline, piece)
                                    : read_sized(r, max, deadline, piece);
    return result == 1 && !x->is_body_read ? -ML_EEOF : result;
}

/* A body whose size is told is refused before any of it is read. */
static int check_size(const struct ml_http1 *r, const struct ml_piece_of_input *piece)
{
    const struct ml_http_exchange *x = &r->x;
    bool is_told = piece == NULL && !x->head.is_chunked;
    uint64_t next = piece != NULL ? piece->size : is_told ? r->body_left : 0;
    uint64_t size = x->body_read + next;
    return size > x->max_body ? -EMSGSIZE : 0;
}

int ml_http1_read_body(struct ml_http_exchange *x, size_t max, struct ml_piece_of_input *piece)
{
    struct ml_http1 *r = ml_http1_of(x);
    ml_time now = ml_hub_now(x->stream->io->hub);
    if (x->body_error != 0)
        return x->body_error;
    int result = check_size(r, NULL);
    if (result == 0 && !x->is_body_read)
        result = ask_to_go_on(r);
    if (result == 0)
        result = read_some(r, max, ml_time_after(now, x->read_timeout), piece);
    if (result == 0)
        result = check_size(r, piece);
    if (result < 0 && result != -ECANCELED && result != -EBUSY)
        x->body_error = result;
    return result;
}

void ml_http1_consume(struct ml_http_exchange *x, const struct ml_piece_of_input *piece)
{
    struct ml_http1 *r = ml_http1_of(x);
    ml_stream_consume(x->stream, piece->taken);
    x->body_read += piece->taken;
    r->body_left -= piece->taken;
    x->is_body_read = !x->head.is_chunked && r->body_left == 0;
}

const struct ml_http_head *ml_http1_trailers(struct ml_http_exchange *x)
{
    const struct ml_http1 *r = ml_http1_of(x);
    bool has_some = x->is_body_read && r->trailers != NULL && r->trailers->head.field_count > 0;
    return has_some ? &r->trailers->head : NULL;
}

__attribute__((noinline)) int ml_http1_drain(struct ml_http1 *r)
{
    struct ml_http_exchange *x = &r->x;
    struct ml_piece_of_input piece;
    ml_time deadline = ml_time_after(ml_hub_now(x->stream->io->hub), ML_HTTP1_DRAIN_TIME);
    uint64_t most = x->body_read + ML_HTTP1_DRAINED;
    int result = x->body_error != 0 ? 1 : 0;
    while (result == 0 && !x->is_body_read) {
        result = read_some(r, SIZE_MAX, deadline, &piece);
        if (result == 0)
            ml_http1_consume(x, &piece);
        if (result == 0 && x->body_read > most)
            result = -EMSGSIZE;
        if (result == 0 && ml_hub_now(x->stream->io->hub) >= deadline)
            result = -ETIMEDOUT;
    }
    bool is_over = result == 1 && x->is_body_read && x->body_error == 0;
    bool is_its_fault = result == -EMSGSIZE || result == -ETIMEDOUT || result == -EPROTO;
    return is_over ? 0 : is_its_fault ? 1 : result;
}

void ml_http1_end_body(struct ml_http1 *r)
{
    if (r->trailers != NULL)
        ml_http_memory_give(r->trailers->bytes);
    ml_http_memory_give(r->trailers);
    r->trailers = NULL;
}
