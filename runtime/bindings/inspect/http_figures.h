/* What the HTTP servers of a runtime have answered, by route: counted from the first call on. */
#ifndef ML_BINDINGS_INSPECT_HTTP_FIGURES_H
#define ML_BINDINGS_INSPECT_HTTP_FIGURES_H

#include <lua.h>

/*
 * core.http() -> a list of bounds in seconds; and a list with a table for each route: route (its
 * pattern; "none": without one; "other": of too many), requests (a list of {method, status class,
 * count}), received and sent (bytes of bodies), count, sum, buckets (of durations). The first call
 * begins to count.
 */
int ml_inspect_http(lua_State *L);

#endif
