#include "http/websocket.h"

#include "base/error.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"

#include <string.h>
#include <sys/random.h>

/* How long a peer may take to answer a Close, and how much it may send meanwhile. */
#define CLOSE_SPAN (10 * ML_SECOND)
#define DRAIN_SPAN (1 * ML_SECOND)
enum { DRAIN_MAX = 256 * 1024 };

static const struct ml_wait_kind room_kind = {.text = "room in a WebSocket's queue"};
static const struct ml_wait_kind end_kind = {.text = "the end of a WebSocket", .external = true};

static struct ml_hub *hub_of(const struct ml_websocket *ws)
{
    return ws->stream->io->hub;
}

static bool is_open(const struct ml_websocket *ws)
{
    return ws->code == 0;
}

void ml_websocket_open(struct ml_websocket *ws, struct ml_stream *stream,
                       const struct ml_websocket_options *options)
{
    *ws = (struct ml_websocket){.stream = stream, .options = *options};
    ml_list_init(&ws->senders);
    ml_list_init(&ws->enders);
    ws->ping_at = ml_time_after(ml_hub_now(hub_of(ws)), options->ping_interval);
}

/* ---- the output ---- */

/* The connection is of no use any more. */
static void break_off(struct ml_websocket *ws, int error)
{
    if (ws->error == 0 && !ws->close_received)
        ws->error = error;
    if (is_open(ws))
        ws->code = ML_WS_ABNORMAL;
    ml_buffer_release(&ws->out);
    ml_wake_all(hub_of(ws), &ws->senders);
    ws->wants_worker = true;
}

/* Sends what the transport takes now. 0: all; -EAGAIN; or an error. */
static int push_out(struct ml_websocket *ws)
{
    struct ml_stream *s = ws->stream;
    int error = ml_stream_is_open(s) ? ml_stream_may_write(s) : -ML_ECLOSED;
    while (error == 0 && ml_buffer_size(&ws->out) > 0) {
        struct iovec piece = {(void *)ml_buffer_data(&ws->out), ml_buffer_size(&ws->out)};
        ssize_t sent = s->transport->transmit(s, &piece, 1);
        ml_slice_spend_call(s->io->hub, sent);
        if (sent > 0)
            ml_buffer_consume(&ws->out, (size_t)sent);
        error = sent < 0 ? (int)sent : 0;
    }
    if (error == 0)
        ml_buffer_release(&ws->out);
    return error;
}

/* The same for a caller that does not wait: the rest is left to the worker. */
static int try_out(struct ml_websocket *ws)
{
    int error = ws->has_worker ? -EAGAIN : push_out(ws);
    if (error == -EAGAIN) {
        ws->wants_worker = true;
        error = 0;
    }
    if (error != 0)
        break_off(ws, error);
    return error;
}

/* A key that no peer can foretell. A used one is wiped: it is not in a core file. */
static int new_key(struct ml_websocket *ws, unsigned char key[ML_WS_KEY_SIZE])
{
    if (ws->key_count == 0) {
        if (getrandom(ws->keys, sizeof ws->keys, 0) != sizeof ws->keys)
            return -EIO;
        ws->key_count = ML_WS_KEYS;
    }
    unsigned char *next = ws->keys + --ws->key_count * ML_WS_KEY_SIZE;
    memcpy(key, next, ML_WS_KEY_SIZE);
    memset(next, 0, ML_WS_KEY_SIZE);
    return 0;
}

/* Puts a whole frame at the end of the queue. 0, or an error with nothing added. */
static int queue_frame(struct ml_websocket *ws, enum ml_ws_opcode opcode, const char *data,
                       size_t size)
{
    struct ml_ws_head head = {.size = size,
                              .opcode = (uint8_t)opcode,
                              .is_final = true,
                              .is_masked = ws->options.is_client};
    int error = head.is_masked ? new_key(ws, head.key) : 0;
    if (error == 0)
        error = ml_buffer_reserve(&ws->out, ML_WS_HEAD_MAX + size);
    if (error != 0)
        return error;
    ml_buffer_commit(&ws->out, ml_ws_write_head(ml_buffer_end(&ws->out), &head));
    if (size > 0)
        memcpy(ml_buffer_end(&ws->out), data, size);
    if (head.is_masked)
        ml_ws_mask(ml_buffer_end(&ws->out), size, head.key, 0);
    ml_buffer_commit(&ws->out, size);
    return 0;
}

static bool has_room(const struct ml_websocket *ws)
{
    return ml_buffer_size(&ws->out) < ws->options.max_queue;
}

static int why_not(const struct ml_websocket *ws)
{
    return ws->error != 0 ? ws->error : !is_open(ws) ? -ML_ECLOSED : 0;
}

/* Waits while the queue is full; a sender whose turn has come is granted it before others. */
static int wait_for_room(struct ml_websocket *ws, ml_time deadline)
{
    int error = why_not(ws);
    if (error == 0 && deadline != ML_NEVER_WAIT)
        error = ml_slice_point(hub_of(ws));
    bool must_wait = !has_room(ws) || !ml_list_is_empty(&ws->senders);
    while (error == 0 && must_wait && is_open(ws)) {
        error = ml_wait_granted(hub_of(ws), &room_kind, 0, &ws->senders, 0, deadline);
        must_wait = !has_room(ws);
    }
    return error == 0 ? why_not(ws) : error;
}

int ml_websocket_send(struct ml_websocket *ws, enum ml_ws_opcode kind, const char *data,
                      size_t size, ml_time deadline)
{
    int error = wait_for_room(ws, deadline);
    if (error == 0)
        error = queue_frame(ws, kind, data, size);
    if (error == 0)
        error = try_out(ws);
    if (has_room(ws))
        ml_wake_first(hub_of(ws), &ws->senders);
    return error;
}

int ml_websocket_ping(struct ml_websocket *ws, const char *data, size_t size)
{
    int error = why_not(ws);
    if (error == 0)
        error = queue_frame(ws, ML_WS_PING, data, size);
    return error == 0 ? try_out(ws) : error;
}

/* ---- closing ---- */

static void note_close(struct ml_websocket *ws, unsigned code, const char *reason, size_t size)
{
    ws->code = (uint16_t)code;
    ws->reason_size = (uint8_t)size;
    if (size > 0)
        memcpy(ws->reason, reason, size);
    ws->close_by = ml_time_after(ml_hub_now(hub_of(ws)), CLOSE_SPAN);
    ml_wake_all(hub_of(ws), &ws->senders);
}

/* Sends a Close; ML_WS_NO_CODE: an empty one. */
static void send_close(struct ml_websocket *ws, unsigned code, const char *reason, size_t size)
{
    char payload[ML_WS_CONTROL_MAX] = {(char)(code >> 8), (char)code};
    if (size > 0)
        memcpy(payload + 2, reason, size);
    ws->close_sent = true;
    ws->wants_worker = true;
    if (queue_frame(ws, ML_WS_CLOSE, payload, code == ML_WS_NO_CODE ? 0 : size + 2) == 0)
        try_out(ws);
}

void ml_websocket_close(struct ml_websocket *ws, unsigned code, const char *reason, size_t size)
{
    if (!is_open(ws))
        return;
    ws->is_closed_here = true;
    note_close(ws, code, reason, size);
    send_close(ws, code, reason, size);
}

/* The peer broke a rule: it is told, and the connection ends. Returns the error. */
static int fail(struct ml_websocket *ws, int error, unsigned code, const char *why)
{
    ml_buffer_release(&ws->message);
    if (ws->error == 0) {
        ws->error = error;
        ws->why = why;
    }
    if (is_open(ws)) {
        note_close(ws, code, NULL, 0);
        send_close(ws, code, NULL, 0);
    }
    return error;
}

/* ---- the input ---- */

static int take_close(struct ml_websocket *ws)
{
    struct ml_utf8 u = {0};
    const unsigned char *data = (const unsigned char *)ws->control;
    size_t size = ws->control_size;
    unsigned code = size >= 2 ? (unsigned)(data[0] << 8 | data[1]) : ML_WS_NO_CODE;
    const char *reason = ws->control + 2;
    size_t reason_size = size >= 2 ? size - 2 : 0;
    if (size == 1 || (size >= 2 && !ml_ws_code_is_valid(code)))
        return fail(ws, -EPROTO, ML_WS_PROTOCOL_ERROR, "a Close with a wrong code");
    if (!ml_utf8_check(&u, reason, reason_size) || !ml_utf8_is_whole(&u))
        return fail(ws, -EILSEQ, ML_WS_NOT_UTF8, "the reason of a Close is not UTF-8");
    ws->close_received = true;
    if (is_open(ws))
        note_close(ws, code, reason, reason_size);
    if (!ws->close_sent)
        send_close(ws, code, NULL, 0);
    return 1;
}

/* Of pings that come while the output is stuck only so many are answered as fit in the queue. */
static int take_control(struct ml_websocket *ws)
{
    int error = 0;
    if (ws->head.opcode == ML_WS_CLOSE)
        return take_close(ws);
    if (ws->head.opcode == ML_WS_PING && is_open(ws) && has_room(ws)) {
        error = queue_frame(ws, ML_WS_PONG, ws->control, ws->control_size);
        if (error == 0)
            error = try_out(ws);
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
        return fail(ws, -EILSEQ, ML_WS_NOT_UTF8, "a text is not UTF-8");
    ws->has_message = is_open(ws);
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
        return fail(ws, -EMSGSIZE, ML_WS_TOO_BIG, "message too long");
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
        return fail(ws, -EPROTO, ML_WS_PROTOCOL_ERROR, why);
    return result > 0 ? begin_frame(ws) : 0;
}

/* Adds unmasked bytes to the message, which has room. After a Close was sent they are dropped. */
static int add_data(struct ml_websocket *ws, const char *data, size_t size)
{
    if (!is_open(ws) || size == 0)
        return 0;
    if (ws->kind == ML_WS_TEXT && !ml_utf8_check(&ws->utf8, data, size))
        return fail(ws, -EILSEQ, ML_WS_NOT_UTF8, "a text is not UTF-8");
    memcpy(ml_buffer_end(&ws->message), data, size);
    ml_buffer_commit(&ws->message, size);
    return 0;
}

/* Whether there is room for bytes of a payload, before any is unmasked: without memory nothing has
 * changed. */
static int make_room(struct ml_websocket *ws, size_t size)
{
    bool is_dropped = ws->head.opcode >= ML_WS_CLOSE || !is_open(ws) || size == 0;
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
        break_off(ws, -ECONNABORTED);
        return -ECONNABORTED;
    }
    ws->has_pinged = true;
    ws->ping_at = ml_time_after(ml_hub_now(hub_of(ws)), ws->options.ping_interval);
    return is_open(ws) ? ml_websocket_ping(ws, NULL, 0) : 0;
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

static int receive(struct ml_websocket *ws, ml_time deadline)
{
    int result = 0;
    while (result == 0 && !ws->has_message) {
        result = read_input(ws);
        if (result == 0 && !ws->has_message)
            result = receive_more(ws, deadline);
    }
    bool is_ours = result == -ETIMEDOUT || result == -ECANCELED || result == -ENOMEM;
    if (result < 0 && !is_ours && ws->error == 0)
        break_off(ws, result);
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
    ml_time now = ml_hub_now(hub_of(ws));
    if (result == 0 && deadline != ML_NEVER_WAIT)
        result = ml_slice_point(hub_of(ws));
    if (result == 0 && ws->is_receiving)
        result = -EBUSY;
    if (result != 0)
        return result;
    if (now >= ws->ping_at) { /* nobody has received meanwhile */
        ws->has_pinged = false;
        ws->ping_at = ml_time_after(now, ws->options.ping_interval);
    }
    ws->is_receiving = true;
    result = receive(ws, deadline);
    ws->is_receiving = false;
    ml_wake_all(hub_of(ws), &ws->enders);
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
    if (ws->was_watched && outcome(ws) == 0 && ml_hub_now(hub_of(ws)) >= ws->ping_at)
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
    ml_wake_all(hub_of(ws), &ws->enders);
}

void ml_websocket_take(struct ml_websocket *ws)
{
    ws->has_message = false;
    ml_buffer_release(&ws->message);
}

/* ---- the worker ---- */

/* Sends all that is queued. */
static int drain_queue(struct ml_websocket *ws)
{
    int error = 0;
    while (error == 0 && ml_buffer_size(&ws->out) > 0) {
        ml_time deadline = is_open(ws) ? ML_FOREVER : ws->close_by;
        error = push_out(ws);
        if (has_room(ws))
            ml_wake_first(hub_of(ws), &ws->senders);
        if (error == -EAGAIN)
            error = ml_stream_await_room(ws->stream, error, deadline);
    }
    return error;
}

/* Waits for the peer's Close: a task that receives gets it, or else this one. */
static int await_close(struct ml_websocket *ws)
{
    int result = 0;
    while (result == 0 && !ws->close_received && ws->error == 0) {
        if (ws->is_receiving) {
            result = ml_wait(hub_of(ws), &end_kind, 0, &ws->enders, ws->close_by);
        } else {
            ws->is_receiving = true;
            ws->ping_at = ML_FOREVER;
            result = receive(ws, ws->close_by);
            ws->is_receiving = false;
            if (ws->has_message)
                ml_websocket_take(ws);
        }
    }
    return result;
}

void ml_websocket_work(struct ml_websocket *ws)
{
    ws->wants_worker = false;
    int error = drain_queue(ws);
    if (error == 0 && is_open(ws)) {
        ws->has_worker = false;
        return;
    }
    if (error == 0)
        error = await_close(ws);
    if (error >= 0 || error == -EPROTO || error == -EILSEQ || error == -EMSGSIZE) {
        ml_time by = ml_time_after(ml_hub_now(hub_of(ws)), DRAIN_SPAN);
        ml_stream_finish(ws->stream, DRAIN_MAX, by);
    }
    if (error < 0)
        break_off(ws, error);
    ml_stream_close(ws->stream);
    ws->has_worker = ws->wants_worker = false;
    ml_wake_all(hub_of(ws), &ws->enders);
}

int ml_websocket_wait_end(struct ml_websocket *ws, ml_time deadline)
{
    int error = 0;
    while (error == 0 && ml_stream_is_open(ws->stream))
        error = ml_wait(hub_of(ws), &end_kind, 0, &ws->enders, deadline);
    return error;
}

void ml_websocket_release(struct ml_websocket *ws)
{
    if (is_open(ws))
        ws->code = ML_WS_ABNORMAL;
    ws->is_closed_here = true;
    ml_stream_close(ws->stream);
    ml_buffer_release(&ws->out);
    ml_buffer_release(&ws->message);
    ml_wake_all(hub_of(ws), &ws->senders);
    ml_wake_all(hub_of(ws), &ws->enders);
}
