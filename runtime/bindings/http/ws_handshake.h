/*
 * Options of WebSockets, and the parts of their handshakes that are written in C. Knows no open
 * WebSocket.
 */
#ifndef ML_BINDINGS_HTTP_WS_HANDSHAKE_H
#define ML_BINDINGS_HTTP_WS_HANDSHAKE_H

#include "http/websocket.h"

#include <lua.h>

/* The options in the table at `index`. Raises for wrong ones. */
struct ml_websocket_options ml_ws_check_options(lua_State *L, int index);

/* The option `compression` of that table: whether it is on, and its settings. */
bool ml_ws_check_compression(lua_State *L, int index, struct ml_ws_compression *c);

/* Adds check, offer, accept, agrees and response to the table on top of the stack. */
void ml_ws_add_handshake(lua_State *L);

#endif
