/*
 * The metatable of header objects, and the module moonlet.http.headers.
 */
#ifndef ML_BINDINGS_HTTP_HEADERS_METHODS_H
#define ML_BINDINGS_HTTP_HEADERS_METHODS_H

#include <lua.h>

/* moonlet.http.headers. */
int ml_open_http_headers(lua_State *L);

/* Creates the metatable; stack unchanged. Further calls do nothing. */
void ml_open_http_headers_type(lua_State *L);

#endif
