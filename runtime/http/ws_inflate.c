#include "http/ws_inflate.h"

#include "http/ws_close.h"
#include "http/ws_deflate.h"
#include "hub/wait/slice.h"

#include <errno.h>

/* Room for zlib's output at a time: the memory of a message grows in steps of this. */
enum { PIECE = 4096 };

int ml_ws_commit(struct ml_websocket *ws, size_t size)
{
    if (ws->kind == ML_WS_TEXT && !ml_utf8_check(&ws->utf8, ml_buffer_end(&ws->message), size))
        return ml_ws_fail(ws, -EILSEQ, ML_WS_NOT_UTF8, "a text is not UTF-8");
    ml_buffer_commit(&ws->message, size);
    return 0;
}

typedef int feed_step(struct ml_ws_deflate *d, struct ml_ws_deflate_step *step);

/* Handles an error of the decompressor. */
static int fail_to_inflate(struct ml_websocket *ws, int error)
{
    unsigned code = error == -EPROTO ? ML_WS_NOT_UTF8 : ML_WS_INTERNAL_ERROR;
    return ml_ws_fail(ws, error, code, error == -EPROTO ? "damaged compressed data" : NULL);
}

/*
 * Decompresses once into the message. If the message is at its limit, one byte more shows that it
 * is too long.
 *
 * - 0: call again;
 * - 1: the input gave all of its output;
 * - or an error.
 */
static int inflate_piece(struct ml_websocket *ws, feed_step *feed, struct ml_ws_deflate_step *step)
{
    char spare;
    size_t left = ws->options.max_message - ml_buffer_size(&ws->message);
    size_t room = left == 0 ? 1 : left < PIECE ? left : PIECE;
    int result = left > 0 ? ml_buffer_reserve(&ws->message, room) : 0;
    if (result != 0)
        return result;
    step->out = left > 0 ? ml_buffer_end(&ws->message) : &spare;
    step->out_size = room;
    result = feed(ws->deflate, step);
    size_t size = room - step->out_size;
    if (left == 0 && size > 0)
        return ml_ws_fail(ws, -EMSGSIZE, ML_WS_TOO_BIG, "message too long");
    if (result != 0)
        return fail_to_inflate(ws, result);
    ml_slice_spend_bytes(ml_ws_hub(ws), (ssize_t)size);
    result = left > 0 && size > 0 ? ml_ws_commit(ws, size) : 0;
    return result == 0 && step->in_size == 0 && step->out_size > 0 ? 1 : result;
}

/* Decompresses the input of a step. -ENOMEM: the rest of the input may come again. */
static int inflate_all(struct ml_websocket *ws, feed_step *feed, struct ml_ws_deflate_step *step)
{
    int result = 0;
    while (result == 0)
        result = inflate_piece(ws, feed, step);
    return result == 1 ? 0 : result;
}

int ml_ws_read_compressed(struct ml_websocket *ws, char *data, size_t size, size_t *taken)
{
    struct ml_ws_deflate_step step = {.in = data, .in_size = size};
    int result = ml_ws_deflate_begin(ws->deflate);
    *taken = 0;
    if (result != 0)
        return result;
    if (ws->head.is_masked)
        ml_ws_mask(data, size, ws->head.key, ws->frame_read);
    result = size > 0 ? inflate_all(ws, ml_ws_deflate_feed, &step) : 0;
    *taken = size - step.in_size;
    ws->frame_read += *taken;
    if (ws->head.is_masked)
        ml_ws_mask(data + *taken, step.in_size, ws->head.key, ws->frame_read);
    return result;
}

int ml_ws_end_compressed(struct ml_websocket *ws)
{
    struct ml_ws_deflate_step step = {0};
    if (ws->deflate->received == 0) /* an empty message may have no data at all */
        return 0;
    int result = inflate_all(ws, ml_ws_deflate_feed_tail, &step);
    if (result == 0 && ml_ws_deflate_end(ws->deflate) != 0)
        result = fail_to_inflate(ws, -EPROTO);
    return result;
}
