#include "http/ws_receive.h"

#include "base/error.h"
#include "http/ws_close.h"
#include "http/ws_deflate.h"
#include "http/ws_inflate.h"
#include "http/ws_send.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"

#include <stdlib.h>
#include <string.h>

/* Compressed bytes that are handled at a time: they become half a MB at most. */
enum { PACKED_PIECE = 512 };

/* Bytes that the compressed form of a message may have beyond one and a half times the limit. */
enum { PACKED_EXTRA = 1024 };

/* While the output is stuck, only as many pings are answered as fit into the queue. */
static int heed_control(struct ml_websocket *ws)
{
    if (ws->head.opcode == ML_WS_CLOSE)
        return ml_ws_take_close(ws);
    if (ws->head.opcode != ML_WS_PING || !ml_ws_is_open(ws) || !ml_ws_has_room(ws))
        return 0;
    return ml_ws_queue_frame(ws, ML_WS_PONG, ws->control, ws->control_size);
}

static int take_control(struct ml_websocket *ws)
{
    int result = heed_control(ws);
    free(ws->control);
    ws->control = NULL;
    return result;
}

/* Call it when the last frame of a message is complete. */
static int end_message(struct ml_websocket *ws)
{
    int result = ws->is_compressed && ml_ws_is_open(ws) ? ml_ws_end_compressed(ws) : 0;
    if (result != 0)
        return result;
    if (ws->kind == ML_WS_TEXT && !ml_utf8_is_whole(&ws->utf8))
        return ml_ws_fail(ws, -EILSEQ, ML_WS_NOT_UTF8, "a text is not UTF-8");
    ws->is_in_message = false;
    ws->has_message = ml_ws_is_open(ws);
    return 0;
}

/* Call it when a frame is complete. 0: read on; 1: nothing follows; or an error. After -ENOMEM the
 * frame is still there. */
static int end_frame(struct ml_websocket *ws)
{
    bool is_control = ws->head.opcode >= ML_WS_CLOSE;
    int result = !is_control && ws->head.is_final ? end_message(ws) : 0;
    ws->is_in_frame = result == -ENOMEM;
    return is_control ? take_control(ws) : result;
}

/* Whether the message would exceed its limit. The compressed form may exceed it, too, but not by
 * much. */
static bool is_too_long(struct ml_websocket *ws)
{
    uint64_t max = ws->options.max_message;
    if (!ws->is_compressed || ws->deflate == NULL)
        return ws->head.size > max - ml_buffer_size(&ws->message);
    uint64_t left = max + max / 2 + PACKED_EXTRA - ws->deflate->received;
    if (ws->head.size > left)
        return true;
    ws->deflate->received += ws->head.size;
    return false;
}

/* Call it when a head is complete. Checks the length before it takes memory for the payload. */
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
        ws->is_compressed = ws->head.is_compressed;
        ws->utf8 = (struct ml_utf8){0};
    }
    ws->is_in_message = true;
    if (ml_ws_is_open(ws) && is_too_long(ws))
        return ml_ws_fail(ws, -EMSGSIZE, ML_WS_TOO_BIG, "message too long");
    return 0;
}

/* Takes bytes of a head; *taken: their number. */
static int read_head(struct ml_websocket *ws, const char *data, size_t size, size_t *taken)
{
    struct ml_ws_rules rules = {.is_from_client = !ws->options.is_client,
                                .may_be_compressed = ws->deflate != NULL,
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

/* Adds unmasked bytes to the message, which has room for them. Drops them after a Close was
 * sent. */
static int add_data(struct ml_websocket *ws, const char *data, size_t size)
{
    if (!ml_ws_is_open(ws) || size == 0)
        return 0;
    memcpy(ml_buffer_end(&ws->message), data, size);
    return ml_ws_commit(ws, size);
}

/* Makes room for bytes of a payload, before any is unmasked: so nothing has changed after
 * -ENOMEM. */
static int make_room(struct ml_websocket *ws, size_t size)
{
    if (ws->head.opcode >= ML_WS_CLOSE) {
        if (ws->control == NULL && size > 0)
            ws->control = malloc(ML_WS_CONTROL_MAX);
        return ws->control != NULL || size == 0 ? 0 : -ENOMEM;
    }
    return !ml_ws_is_open(ws) || size == 0 ? 0 : ml_buffer_reserve(&ws->message, size);
}

/* Takes bytes of a payload, and unmasks them in place. */
static int read_payload(struct ml_websocket *ws, char *data, size_t size, size_t *taken)
{
    uint64_t left = ws->head.size - ws->frame_read;
    size_t count = size < left ? size : (size_t)left;
    if (ws->head.opcode < ML_WS_CLOSE && ws->is_compressed && ml_ws_is_open(ws))
        return ml_ws_read_compressed(ws, data, count < PACKED_PIECE ? count : PACKED_PIECE, taken);
    int result = make_room(ws, count);
    *taken = result == 0 ? count : 0;
    if (result != 0)
        return result;
    if (ws->head.is_masked)
        ml_ws_mask(data, *taken, ws->head.key, ws->frame_read);
    if (ws->head.opcode >= ML_WS_CLOSE && *taken > 0) {
        memcpy(ws->control + ws->control_size, data, *taken);
        ws->control_size = (uint8_t)(ws->control_size + *taken);
    } else if (ws->head.opcode < ML_WS_CLOSE) {
        result = add_data(ws, data, *taken);
    }
    ws->frame_read += *taken;
    return result;
}

/* Takes bytes of a head or a payload from the input, whose first *used bytes are used already. */
static int read_bytes(struct ml_websocket *ws, size_t *used)
{
    const struct ml_buffer *in = &ws->stream->in;
    char *data = in->memory + in->start + *used;
    size_t size = ml_buffer_size(in) - *used, taken;
    ws->has_pinged = false;
    int result =
        ws->is_in_frame ? read_payload(ws, data, size, &taken) : read_head(ws, data, size, &taken);
    *used += taken;
    return result;
}

/* Reads the content of the stream's buffer, up to the end of a message or of the task's slice.
 * Answers to pings leave together. Its registers are not to be saved in the frame that stays while
 * a task waits, nor are those of beat(). */
static __attribute__((noinline)) int read_input(struct ml_websocket *ws)
{
    int result = 0;
    size_t used = 0;
    bool goes_on = true;
    while (result == 0 && goes_on && !ws->has_message) {
        if (ws->is_in_frame && ws->frame_read == ws->head.size)
            result = end_frame(ws);
        else if (used < ml_buffer_size(&ws->stream->in))
            result = read_bytes(ws, &used);
        else
            break;
        goes_on = !ml_slice_is_over(ml_ws_hub(ws));
    }
    if (used > 0)
        ml_stream_consume(ws->stream, used);
    if (result == 0 && ml_buffer_size(&ws->out) > 0 && !ws->has_worker)
        result = ml_ws_try_out(ws);
    return result;
}

/* Sends the ping that is due. 0; -ECONNABORTED: the last one had no effect. */
static __attribute__((noinline)) int beat(struct ml_websocket *ws)
{
    if (ws->has_pinged) {
        ws->why = "no sign of life after a ping";
        ml_ws_break_off(ws, -ECONNABORTED);
        return -ECONNABORTED;
    }
    ws->has_pinged = true;
    if (ws->deflate != NULL)
        ml_ws_deflate_rest(ws->deflate);
    ws->ping_at = ml_time_after(ml_hub_now(ml_ws_hub(ws)), ws->options.ping_interval);
    return ml_ws_is_open(ws) ? ml_websocket_ping(ws, NULL, 0) : 0;
}

/* Whether read_input() has stopped before the end of the input. */
static bool has_work(const struct ml_websocket *ws)
{
    return ml_stream_has_input(ws->stream) || (ws->is_in_frame && ws->frame_read == ws->head.size);
}

/* Waits for more input, and keeps the pings going. 0; -ML_EEOF; or an error. */
static int receive_more(struct ml_websocket *ws, ml_time deadline)
{
    struct ml_stream *s = ws->stream;
    if (!ml_stream_is_open(s))
        return -ML_ECLOSED;
    if (has_work(ws))
        return ml_stream_share(s, deadline);
    ml_time until = deadline == ML_NEVER_WAIT ? deadline : ml_time_earlier(deadline, ws->ping_at);
    int result = ml_stream_receive_more(s, until);
    bool is_due = result == -ETIMEDOUT && until != deadline;
    if (is_due) /* the clock may have been read before the descriptor */
        result = ml_stream_receive_more(s, ML_NEVER_WAIT);
    if (is_due && result == -ETIMEDOUT)
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

/* How receiving has ended: 1, or an error. 0: it goes on. */
static int outcome(const struct ml_websocket *ws)
{
    if (ws->has_message)
        return 0;
    return ws->is_closed_here ? -ML_ECLOSED : ws->close_received ? 1 : ws->error;
}

int ml_websocket_receive(struct ml_websocket *ws, ml_time deadline)
{
    int result = outcome(ws);
    if (result == 0 && deadline != ML_NEVER_WAIT)
        result = ml_slice_point(ml_ws_hub(ws));
    if (result == 0 && ws->is_receiving)
        result = -EBUSY;
    if (result != 0)
        return result;
    ws->is_receiving = true;
    result = ml_ws_receive(ws, deadline);
    ws->is_receiving = false;
    ml_wake_all(ml_ws_hub(ws), &ws->enders);
    bool ended = result == 1 || (result < 0 && result != -ETIMEDOUT && result != -ECANCELED);
    return ended && ws->is_closed_here ? -ML_ECLOSED : result;
}

struct ml_websocket_message ml_websocket_message(const struct ml_websocket *ws)
{
    return (struct ml_websocket_message){ml_buffer_data(&ws->message), ml_buffer_size(&ws->message),
                                         (enum ml_ws_opcode)ws->kind};
}

/* For a WebSocket from which no task receives: reads the input, up to a message, and answers pings;
 * sends a ping if it is due. A peer whose message waits to be received is not silent. */
static void tend(struct ml_websocket *ws)
{
    int result = 0;
    ml_time read_timeout = ws->stream->read_timeout;
    ws->is_receiving = true;
    ws->stream->read_timeout = ML_NEVER_WAIT;
    if (!ws->has_message)
        result = ml_ws_receive(ws, ML_NEVER_WAIT);
    ws->stream->read_timeout = read_timeout;
    ws->has_pinged = ws->has_pinged && !ws->has_message;
    bool is_due = ws->ping_at <= ml_hub_now(ml_ws_hub(ws));
    if (is_due && (result == 0 || result == -ETIMEDOUT) && ml_ws_is_open(ws))
        beat(ws);
    ws->is_receiving = false;
    ml_wake_all(ml_ws_hub(ws), &ws->enders);
}

/* The pause between visits of a connection: a peer may wait for the answer to its ping. Times are
 * rounded to whole steps, so that visits of many connections come together. */
#define VISIT_SPAN (5 * ML_SECOND)
#define VISIT_STEP (ML_SECOND / 4)

ml_time ml_ws_next_visit(const struct ml_websocket *ws)
{
    ml_time now = ml_hub_now(ml_ws_hub(ws)), span = ws->options.ping_interval / 4;
    ml_time visit = ml_time_after(now, span);
    if (span > VISIT_SPAN)
        visit = (ml_time_after(now, VISIT_SPAN) / VISIT_STEP + 1) * VISIT_STEP;
    return ws->ping_at > now ? ml_time_earlier(ws->ping_at, visit) : visit;
}

ml_time ml_websocket_tend(struct ml_websocket *ws)
{
    if (ws->pings == NULL || !ml_ws_is_open(ws))
        return ML_FOREVER;
    if (!ws->is_receiving)
        tend(ws);
    return ml_ws_is_open(ws) ? ml_ws_next_visit(ws) : ML_FOREVER;
}

int ml_websocket_look(struct ml_websocket *ws)
{
    int result = ml_websocket_receive(ws, ML_NEVER_WAIT);
    bool is_due = ws->was_watched && ml_hub_now(ml_ws_hub(ws)) >= ws->ping_at;
    ws->was_watched = false;
    if (result != -ETIMEDOUT || ws->has_message)
        return 0;
    return is_due && ml_ws_is_open(ws) && beat(ws) != 0 ? 0 : -EAGAIN;
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
