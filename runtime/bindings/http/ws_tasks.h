/*
 * The tasks that a WebSocket gets besides those of the script: a worker when it wants one, and one
 * for all of a runtime that pings. Knows no method.
 */
#ifndef ML_BINDINGS_HTTP_WS_TASKS_H
#define ML_BINDINGS_HTTP_WS_TASKS_H

#include "http/websocket.h"

#include <lua.h>

/* After a call on the WebSocket at `index`: it gets the worker that it wants, and all of them the
 * task that pings. Without memory for a worker the connection is cut. Never raises. */
void ml_ws_tend(lua_State *L, struct ml_websocket *ws, int index);

/* The new WebSocket on top of the stack is to be pinged, if its options say so. Raises when there
 * is no memory, after it was released. */
void ml_ws_begin_pings(lua_State *L, struct ml_websocket *ws);

/* Once for a runtime. */
void ml_ws_open_pings(lua_State *L);

#endif
