#include "http/ws_worker.h"

#include "base/error.h"
#include "http/ws_receive.h"
#include "http/ws_send.h"
#include "hub/state/waiters.h"

#include <errno.h>

/* The time, and the bytes, that a peer may take after the closing handshake. */
#define DRAIN_SPAN (1 * ML_SECOND)
enum { DRAIN_MAX = 256 * 1024 };

static const struct ml_wait_kind end_kind = {.text = "the end of a WebSocket", .external = true};

/* Sends all of the queue. Bytes that the peer takes after a jam are a sign of life: its answer to a
 * ping may come late, after all that it has to read. */
static int drain_queue(struct ml_websocket *ws)
{
    int error = 0;
    bool was_stuck = false;
    while (error == 0 && ml_buffer_size(&ws->out) > 0) {
        ml_time deadline = ml_ws_is_open(ws) ? ML_FOREVER : ws->close_by;
        size_t size = ml_buffer_size(&ws->out);
        error = ml_ws_push_out(ws);
        if (was_stuck && ml_buffer_size(&ws->out) < size)
            ws->has_pinged = false;
        was_stuck = error == -EAGAIN;
        if (ml_ws_has_room(ws))
            ml_wake_first(ml_ws_hub(ws), &ws->senders);
        if (error == -EAGAIN)
            error = ml_stream_await_room(ws->stream, error, deadline);
    }
    return error;
}

/* Waits for the peer's Close: a task that receives takes it, or otherwise this one. */
static int await_close(struct ml_websocket *ws)
{
    int result = 0;
    while (result == 0 && !ws->close_received && ws->error == 0) {
        if (ws->is_receiving) {
            result = ml_wait(ml_ws_hub(ws), &end_kind, 0, &ws->enders, ws->close_by);
        } else {
            ws->is_receiving = true;
            ws->ping_at = ML_FOREVER;
            result = ml_ws_receive(ws, ws->close_by);
            ws->is_receiving = false;
            if (ws->has_message)
                ml_websocket_take(ws);
        }
    }
    return result;
}

static void end_work(struct ml_websocket *ws, int error)
{
    if (error < 0)
        ml_ws_break_off(ws, error);
    ml_ws_shut(ws);
    ws->has_worker = ws->wants_worker = false;
    ml_wake_all(ml_ws_hub(ws), &ws->enders);
}

void ml_websocket_forgo_work(struct ml_websocket *ws)
{
    end_work(ws, -ECANCELED);
}

void ml_websocket_work(struct ml_websocket *ws)
{
    ws->wants_worker = false;
    int error = drain_queue(ws);
    if (error == 0 && ml_ws_is_open(ws)) {
        ws->has_worker = false;
        return;
    }
    if (error == 0)
        error = await_close(ws);
    if (error >= 0 || error == -EPROTO || error == -EILSEQ || error == -EMSGSIZE) {
        ml_time by = ml_time_after(ml_hub_now(ml_ws_hub(ws)), DRAIN_SPAN);
        ml_stream_finish(ws->stream, DRAIN_MAX, by);
    }
    end_work(ws, error);
}

int ml_websocket_wait_end(struct ml_websocket *ws, ml_time deadline)
{
    int error = 0;
    while (error == 0 && ml_stream_is_open(ws->stream))
        error = ml_wait(ml_ws_hub(ws), &end_kind, 0, &ws->enders, deadline);
    return error;
}
