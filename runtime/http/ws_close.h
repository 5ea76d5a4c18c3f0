/*
 * The closing handshake of a WebSocket: a Close that is sent, one that has come, and the end of a
 * connection whose peer broke a rule. Waits for nothing: http/ws_worker.h does.
 */
#ifndef ML_HTTP_WS_CLOSE_H
#define ML_HTTP_WS_CLOSE_H

#include "http/websocket.h"

/* Begins the closing handshake: no message is sent or received any more. `code`: one that is valid;
 * `size`: at most ML_WS_CONTROL_MAX - 2 bytes of UTF-8. Idempotent; never waits. */
void ml_websocket_close(struct ml_websocket *ws, unsigned code, const char *reason, size_t size);

/* The peer broke a rule: it is told, and the connection ends. Returns the error. */
int ml_ws_fail(struct ml_websocket *ws, int error, unsigned code, const char *why);

/* A Close has come, its payload is in `control`. 1: nothing follows; or an error. */
int ml_ws_take_close(struct ml_websocket *ws);

#endif
