/* Counters of users' metrics. Knows no registry. */
#ifndef ML_BINDINGS_INSPECT_COUNTER_H
#define ML_BINDINGS_INSPECT_COUNTER_H

#include <lua.h>

/* core.counter(family, text, labels) -> a new one; see bindings/inspect/series.h. */
int ml_inspect_counter(lua_State *L);

/* Registers their type. Keeps the stack as it is. */
void ml_open_counter_type(lua_State *L);

#endif
