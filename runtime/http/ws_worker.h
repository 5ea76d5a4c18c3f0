/*
 * The work of a WebSocket's own task: sends the queue, waits for the peer's Close, closes the
 * stream.
 */
#ifndef ML_HTTP_WS_WORKER_H
#define ML_HTTP_WS_WORKER_H

#include "http/websocket.h"

/* Does the work that `wants_worker` asks for: sends the queue, ends a closing handshake, closes the
 * stream. The caller has set has_worker. May wait; a cancellation closes the stream. */
void ml_websocket_work(struct ml_websocket *ws);

/* The same for a task that was cancelled before it began: closes the stream. Never waits. */
void ml_websocket_forgo_work(struct ml_websocket *ws);

/* Waits until the stream is closed, after ml_websocket_close(). 0, -ETIMEDOUT, -ECANCELED. */
int ml_websocket_wait_end(struct ml_websocket *ws, ml_time deadline);

#endif
