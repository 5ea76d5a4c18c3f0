#include "http/ws_send.h"

#include "base/error.h"
#include "http/ws_deflate.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const struct ml_wait_kind room_kind = {.text = "room in a WebSocket's queue"};

void ml_ws_break_off(struct ml_websocket *ws, int error)
{
    if (ws->error == 0 && !ws->close_received)
        ws->error = error;
    if (ml_ws_is_open(ws))
        ws->code = ML_WS_ABNORMAL;
    if (ws->deflate != NULL)
        ml_ws_deflate_stop(ws->deflate);
    ml_buffer_release(&ws->out);
    ml_wake_all(ml_ws_hub(ws), &ws->senders);
    ws->wants_worker = true;
}

int ml_ws_push_out(struct ml_websocket *ws)
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

int ml_ws_try_out(struct ml_websocket *ws)
{
    int error = ws->has_worker ? -EAGAIN : ml_ws_push_out(ws);
    if (error == -EAGAIN) {
        ws->wants_worker = true;
        error = 0;
    }
    if (error != 0)
        ml_ws_break_off(ws, error);
    return error;
}

/* A key that no peer can foretell. Used ones are wiped, so that no core file has them. */
static int new_key(struct ml_websocket *ws, unsigned char key[ML_WS_KEY_SIZE])
{
    enum { SIZE = ML_WS_KEYS * ML_WS_KEY_SIZE };
    if (ws->keys == NULL && (ws->keys = malloc(SIZE)) == NULL)
        return -ENOMEM;
    if (ws->key_count == 0) {
        if (getrandom(ws->keys, SIZE, 0) != SIZE)
            return -EIO;
        ws->key_count = ML_WS_KEYS;
    }
    unsigned char *next = ws->keys + (size_t)--ws->key_count * ML_WS_KEY_SIZE;
    memcpy(key, next, ML_WS_KEY_SIZE);
    memset(next, 0, ML_WS_KEY_SIZE);
    return 0;
}

/* Begins a frame, with room in the queue for it and for `extra` bytes more. 0 or an error. */
static int begin_frame(struct ml_websocket *ws, struct ml_ws_head *head, enum ml_ws_opcode opcode,
                       size_t size, size_t extra)
{
    *head = (struct ml_ws_head){.size = size,
                                .opcode = (uint8_t)opcode,
                                .is_final = true,
                                .is_masked = ws->options.is_client};
    if (size > SIZE_MAX / 4)
        return -ENOMEM;
    int error = ml_buffer_reserve(&ws->out, ML_WS_HEAD_MAX + size + extra);
    return error == 0 && head->is_masked ? new_key(ws, head->key) : error;
}

/* Puts a frame into the queue. Its payload may already lie at its final place, or behind. */
static void add_frame(struct ml_websocket *ws, const struct ml_ws_head *head, const char *data)
{
    char start[ML_WS_HEAD_MAX];
    size_t size = ml_ws_write_head(start, head);
    char *end = ml_buffer_end(&ws->out);
    if (head->size > 0)
        memmove(end + size, data, head->size);
    memcpy(end, start, size);
    if (head->is_masked)
        ml_ws_mask(end + size, head->size, head->key, 0);
    ml_buffer_commit(&ws->out, size + head->size);
}

int ml_ws_queue_frame(struct ml_websocket *ws, enum ml_ws_opcode opcode, const char *data,
                      size_t size)
{
    struct ml_ws_head head;
    int error = begin_frame(ws, &head, opcode, size, 0);
    if (error == 0)
        add_frame(ws, &head, data);
    return error;
}

/* Cost of compression, for the task's slice: as if the input were sent this many times. */
enum { PACK_COST = 16 };

/* The same for a message; compresses it if that makes it smaller. */
static int queue_message(struct ml_websocket *ws, enum ml_ws_opcode kind, const char *data,
                         size_t size)
{
    struct ml_ws_head head;
    if (ws->deflate == NULL || size < ws->deflate->min_size)
        return ml_ws_queue_frame(ws, kind, data, size);
    int error = begin_frame(ws, &head, kind, size, ML_WS_PACK_ROOM);
    if (error != 0)
        return error;
    char *packed = ml_buffer_end(&ws->out) + ML_WS_HEAD_MAX;
    size_t packed_size = ml_ws_deflate_pack(ws->deflate, data, size, packed);
    ml_slice_spend_bytes(ml_ws_hub(ws), (ssize_t)size * PACK_COST);
    head.is_compressed = packed_size > 0;
    head.size = head.is_compressed ? packed_size : size;
    add_frame(ws, &head, head.is_compressed ? packed : data);
    return 0;
}

int ml_ws_why_not(const struct ml_websocket *ws)
{
    return ws->error != 0 ? ws->error : !ml_ws_is_open(ws) ? -ML_ECLOSED : 0;
}

/* Waits while the queue is full. A task that goes on sending to a WebSocket that has ended lets
 * others run, too. Room is granted to senders in the order of their calls. */
static int wait_for_room(struct ml_websocket *ws, ml_time deadline)
{
    int error = ml_slice_point_until(ml_ws_hub(ws), deadline);
    if (error == 0)
        error = ml_ws_why_not(ws);
    bool must_wait = !ml_ws_has_room(ws) || !ml_list_is_empty(&ws->senders);
    while (error == 0 && must_wait && ml_ws_is_open(ws)) {
        error = ml_wait_granted(ml_ws_hub(ws), &room_kind, 0, &ws->senders, 0, deadline);
        must_wait = !ml_ws_has_room(ws);
    }
    return error == 0 ? ml_ws_why_not(ws) : error;
}

int ml_websocket_send(struct ml_websocket *ws, enum ml_ws_opcode kind, const char *data,
                      size_t size, ml_time deadline)
{
    int error = wait_for_room(ws, deadline);
    if (error == 0)
        error = queue_message(ws, kind, data, size);
    if (error == 0)
        error = ml_ws_try_out(ws);
    if (ml_ws_has_room(ws))
        ml_wake_first(ml_ws_hub(ws), &ws->senders);
    return error;
}

int ml_websocket_ping(struct ml_websocket *ws, const char *data, size_t size)
{
    int error = ml_ws_why_not(ws);
    if (error == 0)
        error = ml_ws_queue_frame(ws, ML_WS_PING, data, size);
    return error == 0 ? ml_ws_try_out(ws) : error;
}
