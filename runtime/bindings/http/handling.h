/* One exchange in Lua: the handler is called, what it returns is sent, and the access log told. */
#ifndef ML_BINDINGS_HTTP_HANDLING_H
#define ML_BINDINGS_HTTP_HANDLING_H

#include "http/exchange.h"

#include <lua.h>

struct ml_http_connection;

/* The stack on which exchanges are handled: all of one connection of HTTP/1, or one of HTTP/2. */
enum {
    ML_HANDLING_STREAM = 1,
    ML_HANDLING_CONNECTION,
    ML_HANDLING_SERVER,
    ML_HANDLING_HANDLER,
    ML_HANDLING_SETTLE,
    ML_HANDLING_TRACEBACK
};

/* Pushes the functions; stream, connection and server are there. */
void ml_handling_push_functions(lua_State *L);

/* Handles an exchange, of the connection `c` if that is of HTTP/1, or only logs one that was
 * refused before. Raises a cancellation, unless it is that of a peer that has left; else the stack
 * is as it was. */
void ml_handle_exchange(lua_State *L, struct ml_http_connection *c, struct ml_http_exchange *x);

#endif
