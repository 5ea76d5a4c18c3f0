#include "http/http2_tunnel.h"

#include "base/error.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <string.h>

static const struct ml_wait_kind input_kind = {.text = "an HTTP/2 body", .external = true};
static const struct ml_wait_kind room_kind = {.text = "an HTTP/2 peer to read", .external = true};

static struct ml_http2_flow *flow_of(const struct ml_stream *s)
{
    return s->layer;
}

static ssize_t tunnel_receive(struct ml_stream *s, char *memory, size_t room)
{
    struct ml_http2_flow *f = flow_of(s);
    size_t size = ml_buffer_size(&f->in);
    size = size < room ? size : room;
    if (size > 0) {
        memcpy(memory, ml_buffer_data(&f->in), size);
        ml_http2_flow_consume(f, size);
        return (ssize_t)size;
    }
    if (f->input_ended)
        return 0;
    if (ml_http2_flow_check(f) != 0)
        return s->lost = -ECONNRESET;
    return -EAGAIN;
}

static int refusal(const struct ml_http2_flow *f)
{
    return f->output_ended ? -EPIPE : ml_http2_flow_check(f);
}

static ssize_t tunnel_transmit(struct ml_stream *s, const struct iovec *pieces, int count)
{
    struct ml_http2_flow *f = flow_of(s);
    size_t used = ml_buffer_size(&f->out);
    size_t room = used < ML_HTTP2_OUT_MAX ? ML_HTTP2_OUT_MAX - used : 0, taken = 0;
    int error = refusal(f);
    for (int i = 0; error == 0 && i < count && taken < room; i++) {
        size_t size = pieces[i].iov_len < room - taken ? pieces[i].iov_len : room - taken;
        if (size > 0)
            error = ml_http2_flow_put_whole(f, pieces[i].iov_base, size);
        taken += error == 0 ? size : 0;
    }
    return taken > 0 ? (ssize_t)taken : error != 0 ? error : -EAGAIN;
}

/* The bodies may be gone after the wait: the stream's owner checks whether it was closed. */
static int tunnel_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                       ml_time deadline)
{
    kind = event == ML_FD_READ ? &input_kind : &room_kind;
    return ml_wait(s->io->hub, kind, 0, &flow_of(s)->waiters, deadline);
}

static int tunnel_watch(struct ml_stream *s, enum ml_fd_event event, struct ml_waiter *waiter,
                        ml_time *again)
{
    (void)event, (void)again;
    ml_list_insert(&flow_of(s)->waiters, &waiter->link);
    return 0;
}

static int end_output(struct ml_http2_flow *f)
{
    struct ml_http2_patience none = {.span = ML_FOREVER, .deadline = ML_NEVER_WAIT};
    int error = ml_http2_flow_check(f);
    if (error == 0 && !f->output_ended)
        error = ml_http2_flow_end_output(f, none);
    return error == -ETIMEDOUT ? 0 : error;
}

static int tunnel_shutdown(struct ml_stream *s, ml_time deadline)
{
    (void)deadline;
    return end_output(flow_of(s));
}

static void tunnel_close(struct ml_stream *s)
{
    struct ml_http2_flow *f = flow_of(s);
    f->tunnel = NULL;
    end_output(f);
    ml_http2_flow_drop_input(f);
    ml_wake_all(s->io->hub, &f->waiters);
}

static const struct ml_transport transport = {
    .receive = tunnel_receive,
    .transmit = tunnel_transmit,
    .wait = tunnel_wait,
    .watch = tunnel_watch,
    .shutdown = tunnel_shutdown,
    .close = tunnel_close,
};

void ml_http2_tunnel_open(struct ml_http2_flow *flow, struct ml_stream *s)
{
    flow->tunnel = s;
    s->layer = flow;
    ml_stream_open(s, &transport);
}

void ml_http2_tunnel_close(struct ml_http2_flow *flow)
{
    if (flow->tunnel != NULL)
        ml_stream_close(flow->tunnel);
}
