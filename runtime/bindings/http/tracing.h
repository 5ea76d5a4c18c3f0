/* Exchanges in the trace of a runtime. To be called only while hub->trace is there; none raises. */
#ifndef ML_BINDINGS_HTTP_TRACING_H
#define ML_BINDINGS_HTTP_TRACING_H

#include "http/exchange.h"

#include <lua.h>

/* A handler is about to be called on L: method and target. */
void ml_http_trace_begin(lua_State *L, const struct ml_http_exchange *x);

/* It has ended: the status, and the route of the request at `request`. */
void ml_http_trace_end(lua_State *L, const struct ml_http_exchange *x, int request);

#endif
