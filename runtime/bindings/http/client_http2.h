/* Connections of HTTP/2 that many exchanges of a client share. */
#ifndef ML_BINDINGS_HTTP_CLIENT_HTTP2_H
#define ML_BINDINGS_HTTP_CLIENT_HTTP2_H

#include <lua.h>

/* Functions of moonlet.http.client.core, documented where they are defined. */
int ml_client_new_http2(lua_State *L);
int ml_client_has_http2(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_client_http2_type(lua_State *L);

#endif
