/* The part of moonlet.inspect's metrics that is written in C. */
#ifndef ML_BINDINGS_INSPECT_METRICS_H
#define ML_BINDINGS_INSPECT_METRICS_H

#include <lua.h>

/* moonlet.inspect.metrics.core. */
int ml_open_metrics(lua_State *L);

#endif
