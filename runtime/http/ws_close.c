#include "http/ws_close.h"

#include "base/error.h"
#include "http/ws_deflate.h"
#include "http/ws_send.h"
#include "hub/state/waiters.h"

#include <stdlib.h>
#include <string.h>

/* The time that a peer has to answer a Close. */
#define CLOSE_SPAN (10 * ML_SECOND)

/* Without memory the reason is lost, not the Close. */
static void keep_reason(struct ml_websocket *ws, const char *reason, size_t size)
{
    ws->reason = size > 0 ? malloc(size) : NULL;
    if (ws->reason == NULL)
        return;
    memcpy(ws->reason, reason, size);
    ws->reason_size = (uint8_t)size;
}

/* Only once: it is open until then. */
static void note_close(struct ml_websocket *ws, unsigned code, const char *reason, size_t size)
{
    ws->code = (uint16_t)code;
    keep_reason(ws, reason, size);
    if (ws->deflate != NULL)
        ml_ws_deflate_stop(ws->deflate);
    ws->close_by = ml_time_after(ml_hub_now(ml_ws_hub(ws)), CLOSE_SPAN);
    ml_wake_all(ml_ws_hub(ws), &ws->senders);
}

/* Sends a Close. ML_WS_NO_CODE: an empty one. */
static void send_close(struct ml_websocket *ws, unsigned code, const char *reason, size_t size)
{
    char payload[ML_WS_CONTROL_MAX] = {(char)(code >> 8), (char)code};
    if (size > 0)
        memcpy(payload + 2, reason, size);
    ws->close_sent = true;
    ws->wants_worker = true;
    if (ml_ws_queue_frame(ws, ML_WS_CLOSE, payload, code == ML_WS_NO_CODE ? 0 : size + 2) == 0)
        ml_ws_try_out(ws);
}

void ml_websocket_close(struct ml_websocket *ws, unsigned code, const char *reason, size_t size)
{
    if (!ml_ws_is_open(ws))
        return;
    ws->is_closed_here = true;
    note_close(ws, code, reason, size);
    send_close(ws, code, reason, size);
}

int ml_ws_fail(struct ml_websocket *ws, int error, unsigned code, const char *why)
{
    ml_buffer_release(&ws->message);
    if (ws->error == 0) {
        ws->error = error;
        ws->why = why;
    }
    if (ml_ws_is_open(ws)) {
        note_close(ws, code, NULL, 0);
        send_close(ws, code, NULL, 0);
    }
    return error;
}

int ml_ws_take_close(struct ml_websocket *ws)
{
    struct ml_utf8 u = {0};
    const unsigned char *data = (const unsigned char *)ws->control;
    size_t size = ws->control_size;
    unsigned code = size >= 2 ? (unsigned)(data[0] << 8 | data[1]) : ML_WS_NO_CODE;
    const char *reason = size >= 2 ? ws->control + 2 : "";
    size_t reason_size = size >= 2 ? size - 2 : 0;
    if (size == 1 || (size >= 2 && !ml_ws_code_is_valid(code)))
        return ml_ws_fail(ws, -EPROTO, ML_WS_PROTOCOL_ERROR, "a Close with a wrong code");
    if (!ml_utf8_check(&u, reason, reason_size) || !ml_utf8_is_whole(&u))
        return ml_ws_fail(ws, -EILSEQ, ML_WS_NOT_UTF8, "the reason of a Close is not UTF-8");
    ws->close_received = true;
    if (ml_ws_is_open(ws))
        note_close(ws, code, reason, reason_size);
    if (!ws->close_sent)
        send_close(ws, code, NULL, 0);
    return 1;
}
