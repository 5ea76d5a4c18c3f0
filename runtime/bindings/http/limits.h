/* Limits of servers and of routes, as options tables have them. */
#ifndef ML_BINDINGS_HTTP_LIMITS_H
#define ML_BINDINGS_HTTP_LIMITS_H

#include "http/exchange.h"

#include <lua.h>

/* The option of that name in the table at `options`, or `otherwise` if there is none: a positive
 * integer; a positive span of time; a boolean; "cancel" or "ignore". Anything else raises. */
lua_Integer ml_http_size_option(lua_State *L, int options, const char *name, lua_Integer otherwise);
ml_time ml_http_span_option(lua_State *L, int options, const char *name, ml_time otherwise);
bool ml_http_flag_option(lua_State *L, int options, const char *name, bool otherwise);
enum ml_http_on_gone ml_http_gone_option(lua_State *L, int options, enum ml_http_on_gone otherwise);

/* core.limit(req, options): those of a route. */
int ml_http_core_limit(lua_State *L);

#endif
