/*
 * The tasks that moonlet runs for WebSockets, besides those of the script: a worker for a WebSocket
 * that wants one, and one task per runtime that pings. Knows no method.
 */
#ifndef ML_BINDINGS_HTTP_WS_TASKS_H
#define ML_BINDINGS_HTTP_WS_TASKS_H

#include "http/websocket.h"

#include <lua.h>

/* Call it after each call on the WebSocket at `index`: starts the worker that it wants, and the
 * task that pings all. Without memory for a worker the connection is cut. Never raises. */
void ml_ws_tend(lua_State *L, struct ml_websocket *ws, int index);

/* Registers the new WebSocket on top of the stack for pings, if its options ask for them. Without
 * memory: releases it, and raises. */
void ml_ws_begin_pings(lua_State *L, struct ml_websocket *ws);

/* Call it once per runtime. */
void ml_ws_open_pings(lua_State *L);

#endif
