/* The part of moonlet.websocket that is written in C. */
#ifndef ML_BINDINGS_HTTP_WEBSOCKET_H
#define ML_BINDINGS_HTTP_WEBSOCKET_H

#include <lua.h>

/* moonlet.websocket.core */
int ml_open_websocket(lua_State *L);

#endif
