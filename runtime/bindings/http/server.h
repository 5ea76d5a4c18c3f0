/* moonlet.http.server.core. */
#ifndef ML_BINDINGS_HTTP_SERVER_H
#define ML_BINDINGS_HTTP_SERVER_H

#include <lua.h>

int ml_open_http_server(lua_State *L);

#endif
