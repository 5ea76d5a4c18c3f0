/* The body of a request, as handlers read it, and which failures of a handler are the body's. */
#ifndef ML_BINDINGS_HTTP_REQUEST_BODY_H
#define ML_BINDINGS_HTTP_REQUEST_BODY_H

#include <lua.h>

/* Methods of a request, documented where they are defined. */
int ml_http_request_body(lua_State *L);
int ml_http_request_read_some(lua_State *L);
int ml_http_request_trailers(lua_State *L);

/* The status for a request whose body could not be read, or was nonsense, where a call that failed
 * with the code at `code` (not a string: any) tells of it; 0: it is not to blame. */
int ml_request_body_status(lua_State *L, int request, int code);

/* Functions of moonlet.http.server.core, documented where they are defined. */
int ml_http_core_blame(lua_State *L);
int ml_http_core_blamed(lua_State *L);
int ml_http_core_failure_of(lua_State *L);

#endif
