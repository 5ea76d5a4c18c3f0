/* moonlet.http.client.core: connections of HTTP clients, for stdlib/moonlet/http/client.lua. */
#ifndef ML_BINDINGS_HTTP_CLIENT_H
#define ML_BINDINGS_HTTP_CLIENT_H

#include <lua.h>

int ml_open_http_client(lua_State *L);

#endif
