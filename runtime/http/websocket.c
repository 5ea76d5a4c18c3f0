#include "http/websocket.h"

#include "http/ws_deflate.h"
#include "http/ws_pings.h"
#include "hub/state/waiters.h"

#include <stdlib.h>

void ml_websocket_open(struct ml_websocket *ws, struct ml_stream *stream,
                       const struct ml_websocket_options *options)
{
    *ws = (struct ml_websocket){.stream = stream, .options = *options};
    ml_list_init(&ws->senders);
    ml_list_init(&ws->enders);
    ws->ping_at = ml_time_after(ml_hub_now(ml_ws_hub(ws)), options->ping_interval);
}

int ml_websocket_compress(struct ml_websocket *ws, const struct ml_ws_compression *ours,
                          const struct ml_ws_terms *terms)
{
    return ml_ws_deflate_new(ws->stream->io, ours, terms, ws->options.is_client, &ws->deflate);
}

void ml_ws_shut(struct ml_websocket *ws)
{
    ml_stream_close(ws->stream);
    if (ws->pings != NULL)
        ml_ws_pings_forget(ws->pings);
    ws->pings = NULL;
}

void ml_websocket_release(struct ml_websocket *ws)
{
    if (ml_ws_is_open(ws))
        ws->code = ML_WS_ABNORMAL;
    ws->is_closed_here = true;
    ml_ws_shut(ws);
    ml_buffer_release(&ws->out);
    ml_buffer_release(&ws->message);
    free(ws->control);
    free(ws->keys);
    ws->control = NULL;
    ws->keys = NULL;
    ws->key_count = 0;
    ml_ws_deflate_free(ws->deflate);
    ws->deflate = NULL;
    ml_wake_all(ml_ws_hub(ws), &ws->senders);
    ml_wake_all(ml_ws_hub(ws), &ws->enders);
}

void ml_websocket_destroy(struct ml_websocket *ws)
{
    ml_websocket_release(ws);
    free(ws->reason);
    ws->reason = NULL;
    ws->reason_size = 0;
}
