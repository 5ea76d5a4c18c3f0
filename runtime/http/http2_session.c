#include "http/http2_session.h"

#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <string.h>

/* Frames are gathered up to this size for one call of the kernel. */
enum { GATHERED = 32 * 1024 };

static const struct ml_wait_kind goodbye_kind = {.text = "an HTTP/2 peer to leave",
                                                 .external = true};
static const struct ml_wait_kind sender_kind = {.text = "something to send", .external = true};

void ml_http2_session_init(struct ml_http2_session *c, const struct ml_nghttp2 *n,
                           struct ml_stream *stream)
{
    *c = (struct ml_http2_session){.n = n, .stream = stream};
    ml_list_init(&c->sender);
    ml_list_init(&c->ends);
}

void ml_http2_session_release(struct ml_http2_session *c)
{
    if (c->session != NULL)
        c->n->nghttp2_session_del(c->session);
    c->session = NULL;
    ml_buffer_release(&c->out);
}

void ml_http2_session_kick(struct ml_http2_session *c)
{
    c->has_output = true;
    ml_wake_all(c->stream->io->hub, &c->sender);
}

void ml_http2_session_finish(struct ml_http2_session *c)
{
    c->is_over = true;
    ml_http2_session_kick(c);
}

/* Takes frames from nghttp2 until they are many, or there is none. 0 or an error. */
static int gather(struct ml_http2_session *c)
{
    const uint8_t *bytes;
    ssize_t size = 1;
    int error = 0;
    while (error == 0 && size > 0 && ml_buffer_size(&c->out) < GATHERED) {
        size = c->n->nghttp2_session_mem_send(c->session, &bytes);
        if (size > 0)
            error = ml_buffer_reserve(&c->out, (size_t)size);
        if (error == 0 && size > 0) {
            memcpy(ml_buffer_end(&c->out), bytes, (size_t)size);
            ml_buffer_commit(&c->out, (size_t)size);
        }
    }
    if (size < 0)
        error = size == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
    return error;
}

static int flush(struct ml_http2_session *c)
{
    struct iovec piece = {.iov_base = c->out.memory + c->out.start,
                          .iov_len = ml_buffer_size(&c->out)};
    size_t sent;
    int error = ml_stream_write(c->stream, &piece, 1, &sent);
    ml_buffer_consume(&c->out, ml_buffer_size(&c->out));
    return error;
}

/* Sends all there is. */
static int send_pending(struct ml_http2_session *c)
{
    int error = gather(c);
    while (error == 0 && ml_buffer_size(&c->out) > 0) {
        error = flush(c);
        if (error == 0)
            error = gather(c);
    }
    return error;
}

/* nghttp2 has given the connection up and said so. */
static bool is_given_up(const struct ml_http2_session *c)
{
    return !c->n->nghttp2_session_want_read(c->session) &&
           !c->n->nghttp2_session_want_write(c->session);
}

static int await_output(struct ml_http2_session *c)
{
    int error = 0;
    ml_buffer_release(&c->out); /* an idle connection keeps none */
    while (error == 0 && !c->has_output && !c->is_over && !is_given_up(c))
        error = ml_wait(c->stream->io->hub, &sender_kind, 0, &c->sender, ML_FOREVER);
    return error;
}

/* Bytes of input that are dropped at the end. */
enum { DRAINED = 256 * 1024 };

/* So long a peer may take to read the last bytes. */
enum { GOODBYE = 1000 * 1000 * 1000 };

/* Waits until the reader has come to its end. */
static int await_reader(struct ml_http2_session *c)
{
    struct ml_hub *hub = c->stream->io->hub;
    ml_time deadline = ml_time_after(ml_hub_now(hub), GOODBYE);
    int error = 0;
    while (error == 0 && !c->has_read_all)
        error = ml_wait(hub, &goodbye_kind, 0, &c->sender, deadline);
    return error;
}

/* Ends the output; the reader then comes to the end of its input, or the stream is closed. */
static void end_output(struct ml_http2_session *c)
{
    ml_time deadline = ml_time_after(ml_hub_now(c->stream->io->hub), GOODBYE);
    int error = ml_stream_shutdown_write(c->stream);
    if (error == 0)
        error = await_reader(c);
    if (error == 0) /* input left unread would cut off what was sent last */
        ml_stream_finish(c->stream, DRAINED, deadline);
    ml_stream_close(c->stream);
}

/* Nothing can be sent. A peer that has gone may have said why: that is read first. */
static void fall_silent(struct ml_http2_session *c, int error)
{
    c->is_mute = true;
    if (c->reads_on && (error == -EPIPE || error == -ECONNRESET))
        await_reader(c);
    if (c->error == 0)
        c->error = error;
    ml_stream_close(c->stream); /* the reader is to notice */
}

static void end_sending(struct ml_http2_session *c)
{
    c->is_sending = false;
    ml_wake_all(c->stream->io->hub, &c->ends);
}

void ml_http2_session_forgo_send(struct ml_http2_session *c)
{
    fall_silent(c, -ECANCELED);
    end_sending(c);
}

void ml_http2_session_send(struct ml_http2_session *c)
{
    int error = 0;
    while (error == 0 && (c->has_output || !c->is_over) && !is_given_up(c)) {
        c->has_output = false;
        error = send_pending(c);
        if (error == 0 && !c->has_output)
            error = await_output(c);
    }
    if (error == 0)
        end_output(c);
    else
        fall_silent(c, error);
    end_sending(c);
}

int ml_http2_session_receive(struct ml_http2_session *c, ml_time deadline)
{
    struct ml_stream *s = c->stream;
    int error = ml_stream_has_input(s) ? 0 : ml_stream_receive_more(s, deadline);
    if (error != 0)
        return error;
    c->received_at = ml_hub_now(s->io->hub);
    ssize_t taken = c->n->nghttp2_session_mem_recv(
        c->session, (const uint8_t *)ml_buffer_data(&s->in), ml_buffer_size(&s->in));
    if (taken < 0)
        return taken == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
    ml_stream_consume(s, (size_t)taken);
    ml_http2_session_kick(c);
    return 0;
}
