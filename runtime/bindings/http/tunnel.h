/* Streams of HTTP/2 that carry another protocol, for stdlib/moonlet/websocket.lua. */
#ifndef ML_BINDINGS_HTTP_TUNNEL_H
#define ML_BINDINGS_HTTP_TUNNEL_H

#include <lua.h>

/* Functions of moonlet.http.server.core, documented where they are defined. */
int ml_http_core_tunnel(lua_State *L);

#endif
