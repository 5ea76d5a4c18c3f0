#include "http/http1.h"

#include "base/check.h"
#include "base/error.h"
#include "http/http1_body.h"
#include "http/http1_head.h"
#include "http/http1_peer.h"
#include "io/send_file.h"
#include "io/socket.h"

#include <errno.h>
#include <string.h>

/* Bodies up to this size are copied behind their head: less than what a second piece costs. */
enum { COPIED_MAX = 2048 };

static struct ml_http_outbox *outbox_of(struct ml_http_exchange *x)
{
    return &ml_http1_of(x)->connection->out;
}

/* ---- the end of an answer that is not whole ---- */

static void http1_abort(struct ml_http_exchange *x)
{
    struct ml_http1 *r = ml_http1_of(x);
    if (x->phase == ML_HTTP_COMPLETE || x->phase == ML_HTTP_HIJACKED)
        return;
    x->phase = ML_HTTP_BROKEN;
    r->connection->is_last = r->connection->is_cut = true;
}

/* What was sent can be neither taken back nor gone on with. */
static int fail_on(struct ml_http_exchange *x, int error)
{
    if (error != 0)
        http1_abort(x);
    return error;
}

/* ---- heads ---- */

/* Whether the input goes on behind this request, as far as one can know before the answer. A peer
 * that was to be told to go on, and was not, may send its body or not. */
static bool keeps_connection(const struct ml_http1 *r)
{
    const struct ml_http_connection *c = r->connection;
    const struct ml_http_exchange *x = &r->x;
    bool is_uncertain = x->head.expects_continue && !r->continue_sent && !x->is_body_read;
    bool is_too_long =
        !x->is_body_read && x->head.body == ML_HTTP_SIZED && r->body_left > ML_HTTP1_DRAINED;
    return x->head.keep_alive && !x->must_close && !c->is_last && !c->server->is_leaving &&
           x->body_error == 0 && !is_uncertain && !is_too_long;
}

static enum ml_http_framing framing_of(const struct ml_http_exchange *x,
                                       const struct ml_http_answer *answer)
{
    if (ml_http_status_is_bare(answer->status))
        return ML_HTTP_WITHOUT;
    if (answer->length >= 0)
        return ML_HTTP_BY_LENGTH;
    if (x->is_head)
        return ML_HTTP_WITHOUT;
    return x->version >= 11 ? ML_HTTP_BY_CHUNKS : ML_HTTP_BY_CLOSING;
}

/* Decides how the answer is framed, and what becomes of the connection. */
static struct ml_http_frame frame(struct ml_http1 *r, const struct ml_http_answer *answer)
{
    struct ml_http_exchange *x = &r->x;
    r->framing = framing_of(x, answer);
    r->answer_left = r->framing == ML_HTTP_BY_LENGTH && !x->is_head ? answer->length : 0;
    bool keeps = r->framing != ML_HTTP_BY_CLOSING && keeps_connection(r);
    x->must_close = !keeps;
    enum ml_http_persistence says = keeps ? ML_HTTP_KEEPS : ML_HTTP_SAYS_CLOSE;
    if (keeps && x->version < 11)
        says = ML_HTTP_SAYS_KEEP_ALIVE;
    return (struct ml_http_frame){
        .framing = r->framing, .persistence = says, .date = ml_http_server_date(x->server)};
}

/* A head that is larger than a block. */
static int send_long_head(struct ml_http1 *r, const struct ml_http_answer *answer,
                          const struct ml_http_frame *how, size_t bound)
{
    char *memory = ml_http_memory_take(r->x.server, bound);
    if (memory == NULL)
        return -ENOMEM;
    char *end = ml_http_answer_format(memory, answer, how);
    struct iovec piece = {.iov_base = memory, .iov_len = (size_t)(end - memory)};
    int error = ml_http_outbox_send(&r->connection->out, &piece, 1);
    ml_http_memory_give(memory);
    return error;
}

/* Puts the head into the outbox, with room for `more` bytes behind it. */
static int put_head(struct ml_http1 *r, const struct ml_http_answer *answer, size_t more)
{
    char *to;
    struct ml_http_frame how = frame(r, answer);
    size_t bound = ml_http_answer_bound(answer);
    r->x.status = answer->status;
    r->x.phase = ML_HTTP_HEADED;
    if (bound > ML_HTTP_BLOCK)
        return send_long_head(r, answer, &how, bound);
    int error = ml_http_outbox_reserve(&r->connection->out, bound + more, &to);
    if (error == 0)
        ml_http_outbox_commit(&r->connection->out, ml_http_answer_format(to, answer, &how));
    return error;
}

static int http1_send_head(struct ml_http_exchange *x, const struct ml_http_answer *answer)
{
    int error = fail_on(x, put_head(ml_http1_of(x), answer, 0));
    if (error == 0)
        ml_http1_heed(x);
    return error;
}

static int http1_inform(struct ml_http_exchange *x, const struct ml_http_answer *answer)
{
    struct ml_http_outbox *out = outbox_of(x);
    char *to;
    if (x->version < 11)
        return 0;
    int error = ml_http_outbox_reserve(out, ml_http_answer_bound(answer), &to);
    if (error == 0) {
        ml_http_outbox_commit(out, ml_http_interim_format(to, answer));
        error = ml_http_outbox_flush(out);
    }
    return error == -EMSGSIZE ? error : fail_on(x, error);
}

/* ---- bodies ---- */

static size_t size_of(const struct iovec *pieces, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

static char *copy_pieces(char *to, const struct iovec *pieces, int count)
{
    for (int i = 0; i < count; i++) {
        memcpy(to, pieces[i].iov_base, pieces[i].iov_len);
        to += pieces[i].iov_len;
    }
    return to;
}

static int http1_send_whole(struct ml_http_exchange *x, const struct ml_http_answer *answer,
                            struct iovec *pieces, int count)
{
    struct ml_http1 *r = ml_http1_of(x);
    struct ml_http_outbox *out = &r->connection->out;
    bool has_body = !x->is_head && !ml_http_status_is_bare(answer->status);
    size_t size = has_body ? (size_t)answer->length : 0;
    size_t copied = size <= COPIED_MAX ? size : 0;
    int error = put_head(r, answer, copied);
    if (error == 0 && copied > 0 && out->block != NULL)
        ml_http_outbox_commit(out, copy_pieces(out->block + out->used, pieces, count));
    else if (error == 0 && size > 0)
        error = ml_http_outbox_send(out, pieces, count);
    if (error != 0)
        return fail_on(x, error);
    x->body_sent = size;
    x->phase = ML_HTTP_COMPLETE;
    return 0;
}

/* The line before a chunk, and the end of the one before that. */
enum { CHUNK_LINE = 20 };

/* A chunk that fits beside what waits is copied. */
static int copy_chunk(struct ml_http_outbox *out, const struct iovec *pieces, int count,
                      size_t size)
{
    char *to;
    int error = ml_http_outbox_reserve(out, size + CHUNK_LINE, &to);
    if (error != 0)
        return error;
    to = ml_http_format_hex(to, size);
    memcpy(to, "\r\n", 2);
    to = copy_pieces(to + 2, pieces, count);
    memcpy(to, "\r\n", 2);
    ml_http_outbox_commit(out, to + 2);
    return ml_http_outbox_flush(out);
}

/* Pieces of a larger one are sent as they lie. More than these become several chunks. */
enum { CHUNK_PIECES = 15 };

static int send_chunk(struct ml_http_outbox *out, const struct iovec *pieces, int count,
                      size_t size)
{
    struct iovec all[CHUNK_PIECES + 1];
    char *to;
    int error = ml_http_outbox_reserve(out, CHUNK_LINE, &to);
    if (error != 0)
        return error;
    to = ml_http_format_hex(to, size);
    memcpy(to, "\r\n", 2);
    ml_http_outbox_commit(out, to + 2);
    memcpy(all, pieces, (size_t)count * sizeof *pieces);
    all[count] = (struct iovec){.iov_base = (void *)"\r\n", .iov_len = 2};
    return ml_http_outbox_send(out, all, count + 1);
}

static int send_chunks(struct ml_http_outbox *out, const struct iovec *pieces, int count)
{
    int error = 0;
    while (error == 0 && count > 0) {
        int now = count < CHUNK_PIECES ? count : CHUNK_PIECES;
        size_t size = size_of(pieces, now);
        if (size > 0 && size <= COPIED_MAX)
            error = copy_chunk(out, pieces, now, size);
        else if (size > 0)
            error = send_chunk(out, pieces, now, size);
        pieces += now;
        count -= now;
    }
    return error;
}

/* Takes `size` bytes off what the answer may still have: 0; -EMSGSIZE: it promised fewer. */
static int spend(struct ml_http1 *r, uint64_t size)
{
    if (r->framing != ML_HTTP_BY_LENGTH)
        return 0;
    if (size > (uint64_t)r->answer_left)
        return -EMSGSIZE;
    r->answer_left -= (int64_t)size;
    return 0;
}

static int http1_send_body(struct ml_http_exchange *x, struct iovec *pieces, int count)
{
    struct ml_http1 *r = ml_http1_of(x);
    size_t size = size_of(pieces, count);
    if (x->phase != ML_HTTP_HEADED)
        return -EPIPE;
    if (size == 0 || x->is_head)
        return ml_http_outbox_flush(&r->connection->out);
    int error = spend(r, size);
    if (error == 0 && r->framing == ML_HTTP_BY_CHUNKS)
        error = send_chunks(&r->connection->out, pieces, count);
    else if (error == 0)
        error = ml_http_outbox_send(&r->connection->out, pieces, count);
    x->body_sent += error == 0 ? size : 0;
    return fail_on(x, error);
}

/* The head, or a chunk's line, waits in the kernel for the file behind it. */
static int send_corked(struct ml_http1 *r, int file, off_t offset, uint64_t count, uint64_t *sent)
{
    struct ml_stream *s = r->x.stream;
    s->more_follows = count > 0;
    int error = ml_http_outbox_flush(&r->connection->out);
    s->more_follows = false;
    s->file = r->x.file;
    if (error == 0)
        error = ml_stream_send_file(s, file, offset, count, sent);
    s->file = 0;
    return error;
}

static int put_text(struct ml_http_outbox *out, const char *text, size_t size)
{
    char *to;
    int error = ml_http_outbox_reserve(out, size, &to);
    if (error == 0) {
        memcpy(to, text, size);
        ml_http_outbox_commit(out, to + size);
    }
    return error;
}

static int put_chunk_line(struct ml_http_outbox *out, uint64_t size)
{
    char line[CHUNK_LINE];
    char *end = ml_http_format_hex(line, size);
    memcpy(end, "\r\n", 2);
    return put_text(out, line, (size_t)(end + 2 - line));
}

/* A file that turns out to be shorter leaves the answer broken. */
static int http1_send_file(struct ml_http_exchange *x, int file, off_t offset, uint64_t count,
                           uint64_t *sent)
{
    struct ml_http1 *r = ml_http1_of(x);
    struct ml_http_outbox *out = &r->connection->out;
    bool is_chunk = r->framing == ML_HTTP_BY_CHUNKS;
    *sent = 0;
    if (x->phase != ML_HTTP_HEADED)
        return -EPIPE;
    if (x->is_head || count == 0)
        return 0;
    int error = spend(r, count);
    if (error == 0 && is_chunk)
        error = put_chunk_line(out, count);
    if (error == 0)
        error = send_corked(r, file, offset, count, sent);
    x->body_sent += *sent;
    if (error == 0 && *sent < count)
        error = -ML_EEOF;
    if (error == 0 && is_chunk)
        error = put_text(out, "\r\n", 2);
    return fail_on(x, error);
}

/* The last chunk with the trailers behind it. */
static int put_last_chunk(struct ml_http_outbox *out, const struct ml_http_pair *trailers,
                          int count)
{
    char *to;
    struct ml_http_answer as_answer = {.status = 200, .pairs = trailers, .pair_count = count};
    int error = ml_http_outbox_reserve(out, ml_http_answer_bound(&as_answer), &to);
    if (error != 0)
        return error;
    memcpy(to, "0\r\n", 3);
    ml_http_outbox_commit(out, ml_http_trailers_format(to + 3, trailers, count));
    return 0;
}

static int http1_end(struct ml_http_exchange *x, const struct ml_http_pair *trailers, int count)
{
    struct ml_http1 *r = ml_http1_of(x);
    int error = 0;
    if (x->phase != ML_HTTP_HEADED)
        return -EPIPE;
    if (r->answer_left > 0)
        error = -ML_EEOF;
    else if (r->framing == ML_HTTP_BY_CHUNKS)
        error = put_last_chunk(&r->connection->out, trailers, count);
    if (error == 0)
        x->phase = ML_HTTP_COMPLETE;
    return fail_on(x, error);
}

static int http1_flush(struct ml_http_exchange *x)
{
    return fail_on(x, ml_http_outbox_flush(outbox_of(x)));
}

/* ---- other protocols ---- */

static int http1_hijack(struct ml_http_exchange *x)
{
    struct ml_http_connection *c = ml_http1_of(x)->connection;
    if (x->phase != ML_HTTP_UNSENT)
        return -EPIPE;
    int error = ml_http_outbox_flush(&c->out);
    if (error != 0)
        return fail_on(x, error);
    ml_http1_pack_head(c->server, ml_http1_of(x));
    x->phase = ML_HTTP_HIJACKED;
    x->status = x->head.method_id == ML_HTTP_CONNECT ? 200 : 101;
    c->is_last = c->is_over = true;
    c->stream->is_patient = false;
    return 0;
}

const struct ml_http_carrier ml_http1_carrier = {
    .read_body = ml_http1_read_body,
    .consume = ml_http1_consume,
    .send_whole = http1_send_whole,
    .send_head = http1_send_head,
    .send_body = http1_send_body,
    .send_file = http1_send_file,
    .end = http1_end,
    .flush = http1_flush,
    .inform = http1_inform,
    .abort = http1_abort,
    .gone = ml_http1_gone,
    .watch = ml_http1_watch,
    .unwatch = ml_http1_unwatch,
    .heed = ml_http1_heed,
    .hijack = http1_hijack,
    .trailers = ml_http1_trailers,
};
