/* Gauges of users' metrics. Knows no registry. */
#ifndef ML_BINDINGS_INSPECT_GAUGE_H
#define ML_BINDINGS_INSPECT_GAUGE_H

#include <lua.h>

/* core.gauge(family, text, labels) -> a new one; see bindings/inspect/series.h. */
int ml_inspect_gauge(lua_State *L);

/* Registers their type. Keeps the stack as it is. */
void ml_open_gauge_type(lua_State *L);

#endif
