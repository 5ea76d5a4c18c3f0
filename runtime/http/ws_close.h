/*
 * The closing handshake of a WebSocket: sends a Close, takes the peer's, and ends the connection
 * when the peer has broken a rule. Waits for nothing: http/ws_worker.h does.
 */
#ifndef ML_HTTP_WS_CLOSE_H
#define ML_HTTP_WS_CLOSE_H

#include "http/websocket.h"

/* Begins the closing handshake: from now on no message is sent or received. code: a valid one;
 * size: at most ML_WS_CONTROL_MAX - 2 bytes of UTF-8. Idempotent; never waits. */
void ml_websocket_close(struct ml_websocket *ws, unsigned code, const char *reason, size_t size);

/* For a peer that broke a rule: sends it the reason, and ends the connection. Returns the error. */
int ml_ws_fail(struct ml_websocket *ws, int error, unsigned code, const char *why);

/* Takes the peer's Close; its payload is in `control`. 1: nothing follows; or an error. */
int ml_ws_take_close(struct ml_websocket *ws);

#endif
