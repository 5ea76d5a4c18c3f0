/* Responses as handlers see them. */
#ifndef ML_BINDINGS_HTTP_RESPONSE_H
#define ML_BINDINGS_HTTP_RESPONSE_H

#include "bindings/http/types.h"

/* Pushes the response to the request at `request`; server: where that is on the stack. */
struct ml_lua_response *ml_push_response(lua_State *L, struct ml_http_exchange *x, int request,
                                         int server);

/* Creates the metatable, and pushes the table of methods, which stdlib/moonlet/http/ completes. */
void ml_push_response_methods(lua_State *L);

/* Functions of moonlet.http.server.core, documented where they are defined. */
int ml_http_core_fill(lua_State *L);
int ml_http_core_request(lua_State *L);

#endif
