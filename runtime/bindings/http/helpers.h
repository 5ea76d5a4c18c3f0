/* What stdlib/moonlet/http/ needs of runtime/http/: dates, content codings. */
#ifndef ML_BINDINGS_HTTP_HELPERS_H
#define ML_BINDINGS_HTTP_HELPERS_H

#include <lua.h>

/* Functions of moonlet.http.server.core, but for the last: of moonlet.http.client.core. */
int ml_http_core_date(lua_State *L);
int ml_http_core_parse_date(lua_State *L);
int ml_http_core_negotiate(lua_State *L);
int ml_http_core_cookie_date(lua_State *L);

#endif
