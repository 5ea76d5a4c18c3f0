#include "http/http2_stream.h"

#include "base/check.h"
#include "base/error.h"
#include "http/answer.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ml_wait_kind body_kind = {.text = "a request's body", .external = true};
static const struct ml_wait_kind room_kind = {.text = "an HTTP/2 peer to read", .external = true};

static struct ml_hub *hub_of(const struct ml_http2_stream *s)
{
    return s->peer->server->io->hub;
}

struct ml_http2_stream *ml_http2_stream_new(struct ml_http2_peer *peer, int32_t id, uint16_t fields)
{
    struct ml_http2_stream *s = calloc(1, sizeof *s + fields * sizeof *s->fields);
    if (s == NULL)
        return NULL;
    s->peer = peer;
    s->id = id;
    s->field_room = fields;
    s->answer_left = -1;
    ml_list_init(&s->waiters);
    ml_list_insert(&peer->streams, &s->link);
    return s;
}

void ml_http2_stream_free(struct ml_http2_stream *s)
{
    ml_list_remove(&s->link);
    s->peer->draining -= s->is_draining;
    ml_http2_head_release(&s->coming);
    ml_buffer_release(&s->text);
    ml_buffer_release(&s->trailer_text);
    ml_buffer_release(&s->in);
    ml_buffer_release(&s->out);
    free(s->trailer_fields);
    free(s->end_fields);
    free(s);
}

void ml_http2_stream_begin(struct ml_http2_stream *s)
{
    struct ml_http_server *server = s->peer->server;
    struct ml_stream *stream = s->peer->session.stream;
    struct ml_http_head head = s->x.head;
    /* Without a length the body has the end that the stream has. */
    if (head.body == ML_HTTP_NO_BODY && !s->input_ended)
        head.body = ML_HTTP_UNTIL_CLOSE;
    s->x = (struct ml_http_exchange){
        .carrier = &ml_http2_carrier,
        .server = server,
        .stream = stream,
        .head = head,
        .scheme = stream->tls != NULL ? "https" : "http",
        .max_body = server->max_body,
        .read_timeout = server->timeouts.read,
        .write_timeout = server->timeouts.write,
        .began = ml_hub_now(server->io->hub),
        .version = 20,
        .on_gone = server->on_gone,
        .is_head = head.method_id == ML_HTTP_HEAD,
        .is_body_read = s->input_ended,
    };
}

/* ---- the request's body ---- */

int ml_http2_stream_take(struct ml_http2_stream *s, const uint8_t *bytes, size_t size)
{
    int error = ml_buffer_reserve(&s->in, size);
    if (error != 0)
        return error;
    memcpy(ml_buffer_end(&s->in), bytes, size);
    ml_buffer_commit(&s->in, size);
    ml_wake_all(hub_of(s), &s->waiters);
    return 0;
}

void ml_http2_stream_end_input(struct ml_http2_stream *s)
{
    s->input_ended = true;
    ml_wake_all(hub_of(s), &s->waiters);
}

/* The peer may send as many bytes more. */
static void give_window(struct ml_http2_stream *s, size_t size)
{
    struct ml_http2_session *c = &s->peer->session;
    if (s->is_closed || size == 0 || c->session == NULL)
        return;
    c->n->nghttp2_session_consume_stream(c->session, s->id, size);
    ml_http2_session_kick(c);
}

void ml_http2_stream_drop_input(struct ml_http2_stream *s)
{
    size_t size = ml_buffer_size(&s->in);
    s->input_dropped = true;
    ml_buffer_release(&s->in);
    give_window(s, size);
}

static int send_continue(struct ml_http2_stream *s);

/* Waits until there is something of the body. 0; 1: its end; or an error. */
static int await_input(struct ml_http2_stream *s)
{
    struct ml_hub *hub = hub_of(s);
    ml_time deadline = ml_time_after(ml_hub_now(hub), s->x.read_timeout);
    int error = 0;
    while (error == 0 && ml_buffer_size(&s->in) == 0) {
        if (s->input_ended)
            return 1;
        if (s->is_closed)
            return -ML_EEOF;
        error = ml_wait(hub, &body_kind, 0, &s->waiters, deadline);
    }
    return error;
}

static bool is_over_limit(const struct ml_http2_stream *s)
{
    const struct ml_http_exchange *x = &s->x;
    bool promises_more =
        x->head.content_length > 0 && (uint64_t)x->head.content_length > x->max_body;
    return promises_more || x->body_read + ml_buffer_size(&s->in) > x->max_body;
}

static int read_body(struct ml_http2_stream *s, size_t max, struct ml_piece_of_input *piece)
{
    if (!s->continue_sent && s->x.head.expects_continue && ml_buffer_size(&s->in) == 0)
        send_continue(s);
    int result = is_over_limit(s) ? -EMSGSIZE : await_input(s);
    if (result == 0 && is_over_limit(s))
        result = -EMSGSIZE;
    if (result != 0)
        return result;
    size_t size = ml_buffer_size(&s->in);
    *piece = (struct ml_piece_of_input){.data = ml_buffer_data(&s->in)};
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
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    ml_buffer_consume(&s->in, piece->taken);
    x->body_read += piece->taken;
    give_window(s, piece->taken);
}

static const struct ml_http_head *http2_trailers(struct ml_http_exchange *x)
{
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    return x->is_body_read && s->trailer_fields != NULL ? &s->trailers : NULL;
}

/* ---- heads ---- */

/* Fields as nghttp2 takes them, in one block with the bytes of their names and values. */
struct field_block {
    nghttp2_nv *fields;
    size_t count;
    char *at;
};

static size_t bytes_of(const struct ml_http_pair *pairs, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += (size_t)pairs[i].name_size + pairs[i].value_size;
    return size;
}

/* Room for the pairs and four fields of ours of at most 64 bytes each. */
static int block_init(struct field_block *b, const struct ml_http_pair *pairs, int count)
{
    size_t table = ((size_t)count + 4) * sizeof *b->fields;
    *b = (struct field_block){.fields = malloc(table + bytes_of(pairs, count) + 4 * 64)};
    if (b->fields == NULL)
        return -ENOMEM;
    b->at = (char *)b->fields + table;
    return 0;
}

static uint8_t *copy_lower(char *to, const char *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] | 32 : from[i]);
    return (uint8_t *)to;
}

static void block_add(struct field_block *b, const char *name, size_t name_size, const char *value,
                      size_t size)
{
    nghttp2_nv *field = &b->fields[b->count++];
    *field = (nghttp2_nv){.namelen = name_size, .valuelen = size};
    field->name = copy_lower(b->at, name, name_size);
    field->value = memcpy(b->at + name_size, value, size);
    b->at += name_size + size;
}

static void block_add_number(struct field_block *b, const char *name, uint64_t number)
{
    char digits[20];
    char *end = ml_http_format_number(digits, number);
    block_add(b, name, strlen(name), digits, (size_t)(end - digits));
}

/* All but those that HTTP/2 has no use for. True: `date` was among them. */
static bool block_add_pairs(struct field_block *b, const struct ml_http_pair *pairs, int count)
{
    bool has_date = false;
    for (int i = 0; i < count; i++) {
        const struct ml_http_pair *pair = &pairs[i];
        if (ml_http_pair_is_framing(pair))
            continue;
        block_add(b, pair->name, pair->name_size, pair->value, pair->value_size);
        has_date |= pair->name_size == 4 && memcmp(b->fields[b->count - 1].name, "date", 4) == 0;
    }
    return has_date;
}

static int make_head(struct ml_http2_stream *s, const struct ml_http_answer *answer,
                     struct field_block *b)
{
    int error = block_init(b, answer->pairs, answer->pair_count);
    if (error != 0)
        return error;
    block_add_number(b, ":status", (uint64_t)answer->status);
    bool has_date = block_add_pairs(b, answer->pairs, answer->pair_count);
    if (answer->status >= 200 && !has_date)
        block_add(b, "date", 4, ml_http_server_date(s->x.server), 29);
    if (answer->length >= 0 && !ml_http_status_is_bare(answer->status))
        block_add_number(b, "content-length", (uint64_t)answer->length);
    return 0;
}

/* Whether nghttp2 still takes something for the stream: 0 or -EPIPE. */
static int check_open(const struct ml_http2_stream *s)
{
    bool is_open = !s->is_closed && s->peer->session.session != NULL && s->peer->session.error == 0;
    return is_open ? 0 : -EPIPE;
}

static void http2_abort(struct ml_http_exchange *x)
{
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    struct ml_http2_session *c = &s->peer->session;
    if (x->phase == ML_HTTP_COMPLETE || x->phase == ML_HTTP_BROKEN)
        return;
    x->phase = ML_HTTP_BROKEN;
    ml_buffer_release(&s->out);
    if (check_open(s) == 0) {
        c->n->nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id,
                                        NGHTTP2_INTERNAL_ERROR);
        ml_http2_session_kick(c);
    }
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
    struct field_block b;
    int error = check_open(s);
    if (error == 0)
        error = make_head(s, answer, &b);
    if (error != 0)
        return error;
    error = error_of(c->n->nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, s->id, NULL,
                                                  b.fields, b.count, NULL));
    free(b.fields);
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

/* Trailers end the stream in place of the last DATA. */
static void submit_trailers(struct ml_http2_stream *s, uint32_t *flags)
{
    struct ml_http2_session *c = &s->peer->session;
    if (s->end_fields == NULL)
        return;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    c->n->nghttp2_submit_trailer(c->session, s->id, s->end_fields, (size_t)s->end_field_count);
}

/* nghttp2 asks for the next bytes of the body. */
static ssize_t give_output(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct ml_http2_stream *s = source->ptr;
    size_t size = ml_buffer_size(&s->out);
    (void)session, (void)id, (void)user;
    size = size < room ? size : room;
    if (size == 0 && !s->output_ended) {
        s->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(to, ml_buffer_data(&s->out), size);
    ml_buffer_consume(&s->out, size);
    if (ml_buffer_size(&s->out) == 0 && s->output_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        submit_trailers(s, flags);
        s->peer->draining -= s->is_draining;
        s->is_draining = false;
    }
    ml_wake_all(hub_of(s), &s->waiters);
    return (ssize_t)size;
}

static void resume(struct ml_http2_stream *s)
{
    struct ml_http2_session *c = &s->peer->session;
    if (s->is_deferred)
        c->n->nghttp2_session_resume_data(c->session, s->id);
    s->is_deferred = false;
    ml_http2_session_kick(c);
}

/* has_body: bytes follow by and by. */
static int submit_head(struct ml_http2_stream *s, const struct ml_http_answer *answer,
                       bool has_body)
{
    struct ml_http2_session *c = &s->peer->session;
    nghttp2_data_provider provider = {.source.ptr = s, .read_callback = give_output};
    struct field_block b;
    int error = check_open(s);
    if (error == 0)
        error = make_head(s, answer, &b);
    if (error != 0)
        return error;
    s->x.status = answer->status;
    s->x.phase = ML_HTTP_HEADED;
    s->answer_left = answer->length;
    error = error_of(c->n->nghttp2_submit_response(c->session, s->id, b.fields, b.count,
                                                   has_body ? &provider : NULL));
    free(b.fields);
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

/* Bytes of an answer that wait for nghttp2 at most; beyond them its handler waits. */
enum { OUT_MAX = 64 * 1024, OUT_LEFT = 16 * 1024 };

/* Waits until at most `size` bytes wait. */
static int await_room(struct ml_http2_stream *s, size_t size)
{
    struct ml_hub *hub = hub_of(s);
    int error = check_open(s);
    size_t before = ml_buffer_size(&s->out);
    ml_time deadline = ml_time_after(ml_hub_now(hub), s->x.write_timeout);
    while (error == 0 && ml_buffer_size(&s->out) > size) {
        error = ml_wait(hub, &room_kind, 0, &s->waiters, deadline);
        if (error == 0)
            error = check_open(s);
        if (ml_buffer_size(&s->out) < before)
            deadline = ml_time_after(ml_hub_now(hub), s->x.write_timeout);
        before = ml_buffer_size(&s->out);
    }
    return error;
}

/* Copies as much as there is room for, and returns how much; or an error. */
static ssize_t put_some(struct ml_http2_stream *s, const char *bytes, size_t size)
{
    int error = await_room(s, OUT_MAX - 1);
    size_t room = OUT_MAX - ml_buffer_size(&s->out);
    size = size < room ? size : room;
    if (error == 0)
        error = ml_buffer_reserve(&s->out, size);
    if (error != 0)
        return error;
    memcpy(ml_buffer_end(&s->out), bytes, size);
    ml_buffer_commit(&s->out, size);
    s->x.body_sent += size;
    resume(s);
    return (ssize_t)size;
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

static int put(struct ml_http2_stream *s, const char *bytes, size_t size)
{
    ssize_t taken = spend(s, size);
    while (taken >= 0 && size > 0) {
        taken = put_some(s, bytes, size);
        bytes += taken > 0 ? taken : 0;
        size -= taken > 0 ? (size_t)taken : 0;
    }
    return taken < 0 ? (int)taken : 0;
}

static int put_pieces(struct ml_http2_stream *s, const struct iovec *pieces, int count)
{
    int error = check_open(s);
    for (int i = 0; error == 0 && i < count; i++)
        error = put(s, pieces[i].iov_base, pieces[i].iov_len);
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

/* The last bytes are in `out`. A few may still wait when the handler has ended. */
static int finish(struct ml_http2_stream *s)
{
    struct ml_http_exchange *x = &s->x;
    int error = !has_no_body(x) && s->answer_left > 0 ? -ML_EEOF : 0;
    if (error == 0 && !has_no_body(x)) {
        s->output_ended = true;
        s->is_draining = true;
        s->peer->draining++;
        resume(s);
        error = await_room(s, OUT_LEFT);
    }
    if (error == 0)
        x->phase = ML_HTTP_COMPLETE;
    return error;
}

/* The pairs as trailers, in a block that stays until the stream has ended. */
static int keep_trailers(struct ml_http2_stream *s, const struct ml_http_pair *pairs, int count)
{
    struct field_block b;
    int error = block_init(&b, pairs, count);
    if (error != 0)
        return error;
    block_add_pairs(&b, pairs, count);
    s->end_fields = b.fields;
    s->end_field_count = (int)b.count;
    return 0;
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

/* A file is read into the buffer in pieces of this size. */
enum { FILE_PIECE = 32 * 1024 };

static int send_file_piece(struct ml_http2_stream *s, int file, off_t offset, uint64_t count,
                           uint64_t *sent)
{
    size_t room = count < FILE_PIECE ? (size_t)count : FILE_PIECE;
    int error = await_room(s, OUT_MAX - FILE_PIECE);
    if (error == 0)
        error = ml_buffer_reserve(&s->out, room);
    if (error != 0)
        return error;
    ssize_t size = pread(file, ml_buffer_end(&s->out), room, offset);
    if (size <= 0)
        return size < 0 ? -errno : -ML_EEOF;
    ml_buffer_commit(&s->out, (size_t)size);
    *sent += (uint64_t)size;
    s->x.body_sent += (uint64_t)size;
    resume(s);
    return 0;
}

/* Reading a file holds up the thread, as in io/send_file.c. */
static int http2_send_file(struct ml_http_exchange *x, int file, off_t offset, uint64_t count,
                           uint64_t *sent)
{
    struct ml_http2_stream *s = ml_http2_stream_of(x);
    int error = ml_cancel_point(x->server->io->hub);
    *sent = 0;
    if (error != 0)
        return error;
    if (x->phase != ML_HTTP_HEADED)
        return -EPIPE;
    if (!has_no_body(x))
        error = spend(s, count);
    while (error == 0 && !has_no_body(x) && *sent < count)
        error = send_file_piece(s, file, offset + (off_t)*sent, count - *sent, sent);
    return fail_on(x, error);
}

/* Frames leave by themselves. */
static int http2_flush(struct ml_http_exchange *x)
{
    int error = ml_cancel_point(x->server->io->hub);
    return error == 0 ? check_open(ml_http2_stream_of(x)) : error;
}

/* ---- the peer ---- */

void ml_http2_stream_closed(struct ml_http2_stream *s)
{
    bool is_whole = s->x.phase == ML_HTTP_COMPLETE;
    bool cancels = s->x.on_gone == ML_HTTP_GONE_CANCEL ||
                   (s->x.on_gone == ML_HTTP_GONE_STREAMING && s->x.phase == ML_HTTP_HEADED);
    s->is_closed = true;
    if (!is_whole && cancels && s->scope != NULL)
        ml_scope_cancel_if_open(s->scope, s->scope_serial);
    ml_wake_all(hub_of(s), &s->waiters);
}

static bool http2_gone(struct ml_http_exchange *x)
{
    return x->phase != ML_HTTP_COMPLETE && check_open(ml_http2_stream_of(x)) != 0;
}

static int http2_watch(struct ml_http_exchange *x, struct ml_waiter *waiter, ml_time *again)
{
    (void)again;
    ml_list_insert(&ml_http2_stream_of(x)->waiters, &waiter->link);
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

const struct ml_http_carrier ml_http2_carrier = {
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
    .hijack = http2_hijack,
    .trailers = http2_trailers,
};
