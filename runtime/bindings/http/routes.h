/* The part of moonlet.http's router that is written in C: it serves each request. */
#ifndef ML_BINDINGS_HTTP_ROUTES_H
#define ML_BINDINGS_HTTP_ROUTES_H

#include <lua.h>

/* Functions of moonlet.http.server.core, documented where they are defined. */
int ml_http_core_routes(lua_State *L);
int ml_http_core_add_route(lua_State *L);
int ml_http_core_find_route(lua_State *L);
int ml_http_core_surround(lua_State *L);
int ml_http_core_dispatcher(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_http_routes_type(lua_State *L);

#endif
