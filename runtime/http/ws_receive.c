#include "http/ws_receive.h"

#include "base/error.h"
#include "http/ws_close.h"
#include "http/ws_send.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"

#include <string.h>

/* Of pings that come while the output is stuck only so many are answered as fit in the queue. */
static int take_control(struct ml_websocket *ws)
{
    int error = 0;
    if (ws->head.opcode == ML_WS_CLOSE)
        return ml_ws_take_close(ws);
    if (ws->head.opcode == ML_WS_PING && ml_ws_is_open(ws) && ml_ws_has_room(ws)) {
        error = ml_ws_queue_frame(ws, ML_WS_PONG, ws->control, ws->control_size);
        if (error == 0)
            error = ml_ws_try_out(ws);
    }
    return error;
}

/* A frame has come whole: 0: read on; 1: nothing follows; or an error. */
static int end_frame(struct ml_websocket *ws)
{
    ws->is_in_frame = false;
    if (ws->head.opcode >= ML_WS_CLOSE)
        return take_control(ws);
    ws->is_in_message = !ws->head.is_final;
    if (!ws->head.is_final)
        return 0;
    if (ws->kind == ML_WS_TEXT && !ml_utf8_is_whole(&ws->utf8))
        return ml_ws_fail(ws, -EILSEQ, ML_WS_NOT_UTF8, "a text is not UTF-8");
    ws->has_message = ml_ws_is_open(ws);
    return 0;
}

/* A head is complete: looks at the length before any memory is taken for it. */
static int begin_frame(struct ml_websocket *ws)
{
    ws->is_in_frame = true;
    ws->frame_read = 0;
    ws->head_size = 0;
    ws->control_size = 0;
    if (ws->head.opcode >= ML_WS_CLOSE)
        return 0;
    if (ws->head.opcode != ML_WS_CONTINUATION) {
        ws->kind = ws->head.opcode;
        ws->utf8 = (struct ml_utf8){0};
    }
    ws->is_in_message = true;
    if (ws->head.size > ws->options.max_message - ml_buffer_size(&ws->message))
        return ml_ws_fail(ws, -EMSGSIZE, ML_WS_TOO_BIG, "message too long");
    return 0;
}

/* Takes bytes of a head: *taken of them. */
static int read_head(struct ml_websocket *ws, const char *data, size_t size, size_t *taken)
{
    struct ml_ws_rules rules = {.is_from_client = !ws->options.is_client,
                                .is_in_message = ws->is_in_message};
    const char *why = NULL;
    int result = 0;
    *taken = 0;
    while (result == 0 && *taken < size) {
        ws->first[ws->head_size++] = data[(*taken)++];
        result = ml_ws_parse_head(&ws->head, &rules, ws->first, ws->head_size, &why);
    }
    if (result < 0)
        return ml_ws_fail(ws, -EPROTO, ML_WS_PROTOCOL_ERROR, why);
    return result > 0 ? begin_frame(ws) : 0;
}

/* Adds unmasked bytes to the message, which has room. After a Close was sent they are dropped. */
static int add_data(struct ml_websocket *ws, const char *data, size_t size)
{
    if (!ml_ws_is_open(ws) || size == 0)
        return 0;
    if (ws->kind == ML_WS_TEXT && !ml_utf8_check(&ws->utf8, data, size))
        return ml_ws_fail(ws, -EILSEQ, ML_WS_NOT_UTF8, "a text is not UTF-8");
    memcpy(ml_buffer_end(&ws->message), data, size);
    ml_buffer_commit(&ws->message, size);
    return 0;
}

/* Whether there is room for bytes of a payload, before any is unmasked: without memory nothing has
 * changed. */
static int make_room(struct ml_websocket *ws, size_t size)
{
    bool is_dropped = ws->head.opcode >= ML_WS_CLOSE || !ml_ws_is_open(ws) || size == 0;
    return is_dropped ? 0 : ml_buffer_reserve(&ws->message, size);
}

/* Takes bytes of a payload, which are unmasked where they lie. */
static int read_payload(struct ml_websocket *ws, char *data, size_t size, size_t *taken)
{
    uint64_t left = ws->head.size - ws->frame_read;
    size_t count = size < left ? size : (size_t)left;
    int result = make_room(ws, count);
    *taken = result == 0 ? count : 0;
    if (result != 0)
        return result;
    if (ws->head.is_masked)
        ml_ws_mask(data, *taken, ws->head.key, ws->frame_read);
    if (ws->head.opcode >= ML_WS_CLOSE) {
        memcpy(ws->control + ws->control_size, data, *taken);
        ws->control_size = (uint8_t)(ws->control_size + *taken);
    } else {
        result = add_data(ws, data, *taken);
    }
    ws->frame_read += *taken;
    return result;
}

/* Works off what the stream holds, up to the end of a message. */
static int read_input(struct ml_websocket *ws)
{
    struct ml_stream *s = ws->stream;
    int result = 0;
    while (result == 0 && !ws->has_message && ml_stream_has_input(s)) {
        char *data = s->in.memory + s->in.start;
        size_t size = ml_buffer_size(&s->in), taken;
        ws->has_pinged = false;
        result = ws->is_in_frame ? read_payload(ws, data, size, &taken)
                                 : read_head(ws, data, size, &taken);
        ml_stream_consume(s, taken);
        if (result == 0 && ws->is_in_frame && ws->frame_read == ws->head.size)
            result = end_frame(ws);
    }
    return result;
}

/* The time to ping has come: 0, or -ECONNABORTED if the last one had no effect. */
static int beat(struct ml_websocket *ws)
{
    if (ws->has_pinged) {
        ws->why = "no sign of life after a ping";
        ml_ws_break_off(ws, -ECONNABORTED);
        return -ECONNABORTED;
    }
    ws->has_pinged = true;
    ws->ping_at = ml_time_after(ml_hub_now(ml_ws_hub(ws)), ws->options.ping_interval);
    return ml_ws_is_open(ws) ? ml_websocket_ping(ws, NULL, 0) : 0;
}

/* Waits for more input, and keeps the pings going. 0; -ML_EEOF; or an error. */
static int receive_more(struct ml_websocket *ws, ml_time deadline)
{
    struct ml_stream *s = ws->stream;
    if (!ml_stream_is_open(s))
        return -ML_ECLOSED;
    ml_time until = deadline == ML_NEVER_WAIT ? deadline : ml_time_earlier(deadline, ws->ping_at);
    int result = ml_stream_receive_more(s, until);
    if (result == -ETIMEDOUT && until != deadline)
        return beat(ws);
    return result == 1 ? -ML_EEOF : result;
}

int ml_ws_receive(struct ml_websocket *ws, ml_time deadline)
{
    int result = 0;
    while (result == 0 && !ws->has_message) {
        result = read_input(ws);
        if (result == 0 && !ws->has_message)
            result = receive_more(ws, deadline);
    }
    bool is_ours = result == -ETIMEDOUT || result == -ECANCELED || result == -ENOMEM;
    if (result < 0 && !is_ours && ws->error == 0)
        ml_ws_break_off(ws, result);
    return result;
}

/* How receiving has ended: 1, or an error; 0: it has not. */
static int outcome(const struct ml_websocket *ws)
{
    if (ws->has_message)
        return 0;
    return ws->is_closed_here ? -ML_ECLOSED : ws->close_received ? 1 : ws->error;
}

int ml_websocket_receive(struct ml_websocket *ws, ml_time deadline,
                         struct ml_websocket_message *message)
{
    int result = outcome(ws);
    ml_time now = ml_hub_now(ml_ws_hub(ws));
    if (result == 0 && deadline != ML_NEVER_WAIT)
        result = ml_slice_point(ml_ws_hub(ws));
    if (result == 0 && ws->is_receiving)
        result = -EBUSY;
    if (result != 0)
        return result;
    if (now >= ws->ping_at) { /* nobody has received meanwhile */
        ws->has_pinged = false;
        ws->ping_at = ml_time_after(now, ws->options.ping_interval);
    }
    ws->is_receiving = true;
    result = ml_ws_receive(ws, deadline);
    ws->is_receiving = false;
    ml_wake_all(ml_ws_hub(ws), &ws->enders);
    if (result == 0)
        *message = (struct ml_websocket_message){ml_buffer_data(&ws->message),
                                                 ml_buffer_size(&ws->message),
                                                 (enum ml_ws_opcode)ws->kind};
    bool ended = result == 1 || (result < 0 && result != -ETIMEDOUT && result != -ECANCELED);
    return ended && ws->is_closed_here ? -ML_ECLOSED : result;
}

int ml_websocket_look(struct ml_websocket *ws)
{
    struct ml_websocket_message message;
    int result = 0;
    if (ws->was_watched && outcome(ws) == 0 && ml_hub_now(ml_ws_hub(ws)) >= ws->ping_at)
        result = beat(ws);
    ws->was_watched = false;
    if (result == 0)
        result = ml_websocket_receive(ws, ML_NEVER_WAIT, &message);
    return result == -ETIMEDOUT && !ws->has_message ? -EAGAIN : 0;
}

int ml_websocket_watch(struct ml_websocket *ws, struct ml_waiter *waiter, ml_time *again)
{
    if (ws->is_receiving || outcome(ws) != 0)
        return -EBUSY;
    *again = ml_time_earlier(*again, ws->ping_at);
    ws->is_receiving = ws->is_watched = true;
    return ml_stream_watch(ws->stream, waiter, again);
}

void ml_websocket_unwatch(struct ml_websocket *ws)
{
    if (!ws->is_watched)
        return;
    if (ml_stream_is_open(ws->stream))
        ml_stream_unwatch(ws->stream);
    ws->is_receiving = ws->is_watched = false;
    ws->was_watched = true;
    ml_wake_all(ml_ws_hub(ws), &ws->enders);
}

void ml_websocket_take(struct ml_websocket *ws)
{
    ws->has_message = false;
    ml_buffer_release(&ws->message);
}
