/* What the runtime has counted by itself, as a table for stdlib/moonlet/inspect/own_metrics.lua,
 * which has names and meanings. */
#ifndef ML_BINDINGS_INSPECT_RUNTIME_FIGURES_H
#define ML_BINDINGS_INSPECT_RUNTIME_FIGURES_H

#include "base/list.h"

#include <lua.h>

/* core.runtime() -> field -> number; what is not known is absent. */
int ml_inspect_runtime(lua_State *L);

/* How many links a list has; one that was never used: 0. */
unsigned ml_inspect_length(const struct ml_link *list);

#endif
