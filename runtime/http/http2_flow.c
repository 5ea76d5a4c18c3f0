#include "http/http2_flow.h"

#include "base/error.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"
#include "io/file_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ml_wait_kind input_kind = {.text = "an HTTP/2 body", .external = true};
static const struct ml_wait_kind room_kind = {.text = "an HTTP/2 peer to read", .external = true};

static struct ml_hub *hub_of(const struct ml_http2_flow *f)
{
    return f->session->stream->io->hub;
}

void ml_http2_flow_init(struct ml_http2_flow *f, struct ml_http2_session *session)
{
    *f = (struct ml_http2_flow){.session = session};
    ml_list_init(&f->waiters);
}

void ml_http2_flow_release(struct ml_http2_flow *f)
{
    if (f->tunnel != NULL)
        ml_stream_close(f->tunnel);
    ml_wake_all(hub_of(f), &f->waiters); /* another task may wait for the peer to leave */
    f->session->draining -= f->is_draining;
    f->is_draining = false;
    ml_buffer_release(&f->in);
    ml_buffer_release(&f->out);
    free(f->end_fields);
    f->end_fields = NULL;
}

/* Whether nghttp2 knows the stream. */
static bool is_known(const struct ml_http2_flow *f)
{
    const struct ml_http2_session *c = f->session;
    return !f->is_closed && c->session != NULL && c->error == 0;
}

int ml_http2_flow_check(const struct ml_http2_flow *f)
{
    return is_known(f) && !f->is_abandoned ? 0 : -EPIPE;
}

void ml_http2_flow_close(struct ml_http2_flow *f)
{
    f->is_closed = true;
    ml_wake_all(hub_of(f), &f->waiters);
}

void ml_http2_flow_reset(struct ml_http2_flow *f, uint32_t code)
{
    struct ml_http2_session *c = f->session;
    ml_buffer_release(&f->out);
    if (!is_known(f))
        return;
    c->n->nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, f->id, code);
    ml_http2_session_kick(c);
}

/* ---- input ---- */

void ml_http2_flow_take(struct ml_http2_flow *f, const uint8_t *bytes, size_t size)
{
    if (f->is_torn)
        return;
    if (ml_buffer_reserve(&f->in, size) == 0) {
        memcpy(ml_buffer_end(&f->in), bytes, size);
        ml_buffer_commit(&f->in, size);
    } else {
        f->is_torn = true;
        ml_http2_flow_reset(f, NGHTTP2_INTERNAL_ERROR);
    }
    ml_wake_all(hub_of(f), &f->waiters);
}

void ml_http2_flow_end_input(struct ml_http2_flow *f)
{
    f->input_ended = !f->is_torn;
    ml_wake_all(hub_of(f), &f->waiters);
}

/* The peer may send as many bytes more. */
static void give_window(struct ml_http2_flow *f, size_t size)
{
    struct ml_http2_session *c = f->session;
    if (size == 0 || !is_known(f))
        return;
    c->n->nghttp2_session_consume_stream(c->session, f->id, size);
    ml_http2_session_kick(c);
}

void ml_http2_flow_drop_input(struct ml_http2_flow *f)
{
    size_t size = ml_buffer_size(&f->in);
    f->input_dropped = true;
    ml_buffer_release(&f->in);
    give_window(f, size);
}

void ml_http2_flow_drop(struct ml_http2_flow *f, size_t size)
{
    f->dropped += size;
    give_window(f, size);
    ml_wake_all(hub_of(f), &f->waiters);
}

int ml_http2_flow_await_dropped(struct ml_http2_flow *f, uint64_t most, ml_time deadline)
{
    int error = 0;
    while (error == 0 && !f->input_ended && f->dropped <= most && ml_http2_flow_check(f) == 0)
        error = ml_wait(hub_of(f), &input_kind, 0, &f->waiters, deadline);
    return error;
}

int ml_http2_flow_await_input(struct ml_http2_flow *f, ml_time deadline)
{
    int error = 0;
    while (error == 0 && ml_buffer_size(&f->in) == 0) {
        if (f->is_torn)
            return -ENOMEM;
        if (f->input_ended)
            return 1;
        if (ml_http2_flow_check(f) != 0)
            return -ML_EEOF;
        error = ml_wait(hub_of(f), &input_kind, 0, &f->waiters, deadline);
    }
    return error;
}

void ml_http2_flow_consume(struct ml_http2_flow *f, size_t size)
{
    ml_buffer_consume(&f->in, size);
    give_window(f, size);
}

/* ---- output ---- */

/* Trailers end the stream in place of the last DATA. */
static void submit_trailers(struct ml_http2_flow *f, uint32_t *flags)
{
    struct ml_http2_session *c = f->session;
    if (f->end_fields == NULL)
        return;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    c->n->nghttp2_submit_trailer(c->session, f->id, f->end_fields, f->end_field_count);
}

static void end_of_output(struct ml_http2_flow *f, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    submit_trailers(f, flags);
    f->session->draining -= f->is_draining;
    f->is_draining = false;
}

/* nghttp2 asks for the next bytes. */
static ssize_t give_output(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct ml_http2_flow *f = source->ptr;
    size_t size = ml_buffer_size(&f->out);
    (void)session, (void)id, (void)user;
    if (size == 0 && !f->output_ended) {
        f->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size = size < room ? size : room;
    memcpy(to, ml_buffer_data(&f->out), size);
    ml_buffer_consume(&f->out, size);
    if (ml_buffer_size(&f->out) == 0 && f->output_ended)
        end_of_output(f, flags);
    ml_wake_all(hub_of(f), &f->waiters);
    return (ssize_t)size;
}

nghttp2_data_provider ml_http2_flow_provider(struct ml_http2_flow *f)
{
    return (nghttp2_data_provider){.source.ptr = f, .read_callback = give_output};
}

static void resume(struct ml_http2_flow *f)
{
    struct ml_http2_session *c = f->session;
    if (f->is_deferred)
        c->n->nghttp2_session_resume_data(c->session, f->id);
    f->is_deferred = false;
    ml_http2_session_kick(c);
}

static ml_time next_deadline(const struct ml_http2_flow *f, struct ml_http2_patience patience)
{
    ml_time now = ml_hub_now(hub_of(f));
    return ml_time_earlier(ml_time_after(now, patience.span), patience.deadline);
}

/* Waits until at most `size` bytes wait for nghttp2. */
static int await_room(struct ml_http2_flow *f, size_t size, struct ml_http2_patience patience)
{
    int error = ml_http2_flow_check(f);
    size_t before = ml_buffer_size(&f->out);
    if (error != 0 || before <= size)
        return error;
    ml_time deadline = next_deadline(f, patience);
    while (error == 0 && ml_buffer_size(&f->out) > size) {
        error = ml_wait(hub_of(f), &room_kind, 0, &f->waiters, deadline);
        if (error == 0)
            error = ml_http2_flow_check(f);
        if (ml_buffer_size(&f->out) < before)
            deadline = next_deadline(f, patience);
        before = ml_buffer_size(&f->out);
    }
    return error;
}

int ml_http2_flow_put_whole(struct ml_http2_flow *f, const char *bytes, size_t size)
{
    int error = ml_http2_flow_check(f);
    if (error == 0)
        error = ml_buffer_reserve(&f->out, size);
    if (error != 0)
        return error;
    memcpy(ml_buffer_end(&f->out), bytes, size);
    ml_buffer_commit(&f->out, size);
    resume(f);
    return 0;
}

/* Copies as much as there is room for, and returns how much; or an error. */
static ssize_t put_some(struct ml_http2_flow *f, const char *bytes, size_t size,
                        struct ml_http2_patience patience)
{
    int error = await_room(f, ML_HTTP2_OUT_MAX - 1, patience);
    size_t room = ML_HTTP2_OUT_MAX - ml_buffer_size(&f->out);
    size = size < room ? size : room;
    if (error == 0)
        error = ml_buffer_reserve(&f->out, size);
    if (error != 0)
        return error;
    memcpy(ml_buffer_end(&f->out), bytes, size);
    ml_buffer_commit(&f->out, size);
    resume(f);
    return (ssize_t)size;
}

int ml_http2_flow_put(struct ml_http2_flow *f, const char *bytes, size_t size,
                      struct ml_http2_patience patience)
{
    ssize_t taken = ml_http2_flow_check(f);
    while (taken >= 0 && size > 0) {
        taken = put_some(f, bytes, size, patience);
        bytes += taken > 0 ? taken : 0;
        size -= taken > 0 ? (size_t)taken : 0;
    }
    return taken < 0 ? (int)taken : 0;
}

/* A file is read into the buffer in pieces of this size. */
enum { FILE_PIECE = 32 * 1024 };

static ssize_t put_from_disk(struct ml_http2_flow *f, int file, off_t offset, size_t size,
                             struct ml_http2_patience patience)
{
    struct ml_file_block *block;
    int error = ml_file_block_read(hub_of(f), file, size, offset, &block);
    if (error == 0)
        error = ml_http2_flow_check(f); /* the peer may have left meanwhile */
    ssize_t result = error != 0 ? error : block->size;
    if (result > 0) {
        error = ml_http2_flow_put(f, block->data, (size_t)block->size, patience);
        result = error != 0 ? error : result;
    }
    ml_file_block_free(block);
    return result;
}

ssize_t ml_http2_flow_put_file(struct ml_http2_flow *f, int file, off_t offset, uint64_t count,
                               struct ml_http2_patience patience)
{
    size_t room = count < FILE_PIECE ? (size_t)count : FILE_PIECE;
    int error = await_room(f, ML_HTTP2_OUT_MAX - FILE_PIECE, patience);
    if (error == 0)
        error = ml_buffer_reserve(&f->out, room);
    if (error != 0)
        return error;
    ssize_t size = ml_file_peek(file, ml_buffer_end(&f->out), room, offset);
    if (size == -EAGAIN)
        return put_from_disk(f, file, offset, room, patience);
    if (size > 0) {
        ml_buffer_commit(&f->out, (size_t)size);
        resume(f);
    }
    return size;
}

int ml_http2_flow_end_output(struct ml_http2_flow *f, struct ml_http2_patience patience)
{
    f->output_ended = true;
    f->is_draining = true;
    f->session->draining++;
    resume(f);
    return await_room(f, ML_HTTP2_OUT_LEFT, patience);
}
