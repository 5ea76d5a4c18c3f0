/* Requests as handlers see them. */
#ifndef ML_BINDINGS_HTTP_REQUEST_H
#define ML_BINDINGS_HTTP_REQUEST_H

#include "bindings/http/types.h"

/* The path as its target has it; false: the request is over, or its path is another by now (that of
 * a mounted handler), or its target has none. */
bool ml_request_path(const struct ml_lua_request *req, struct ml_http_slice *path);

/* Pushes the pattern of the route that serves the request at `request`, or what a script has put in
 * its place; nil: none does. Does not raise; takes two places of the stack. */
void ml_request_push_route(lua_State *L, int request);

/* For a router, with the request at 1. The route at `route` is its route: a list, the pattern at 2.
 * The table on top, which goes, has its parameters. */
void ml_request_set_route(lua_State *L, int route);
void ml_request_set_params(lua_State *L);

/* Creates the metatable, and pushes the table of methods, which stdlib/moonlet/http/ completes. */
void ml_push_request_methods(lua_State *L);

/* Functions of moonlet.http.server.core, documented where they are defined. */
int ml_http_core_server_of(lua_State *L);
int ml_http_core_headers(lua_State *L);

#endif
