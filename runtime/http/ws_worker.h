/*
 * What a task of its own does for a WebSocket: sends what is queued, waits for the peer's Close,
 * closes the stream.
 */
#ifndef ML_HTTP_WS_WORKER_H
#define ML_HTTP_WS_WORKER_H

#include "http/websocket.h"

/* What `wants_worker` asks for: sends what is queued, ends a closing handshake, closes the stream.
 * The caller has set has_worker. May wait; a cancellation closes the stream. */
void ml_websocket_work(struct ml_websocket *ws);

/* Waits until the stream is closed, after ml_websocket_close(). 0, -ETIMEDOUT, -ECANCELED. */
int ml_websocket_wait_end(struct ml_websocket *ws, ml_time deadline);

#endif
