/*
 * The inspector's own side of the wire, as its Lua code uses it: moonlet.inspector.core. How an
 * inspector is started is installed by vm/ (lua->inspect.inspectors).
 */
#ifndef ML_BINDINGS_INSPECT_INSPECTOR_H
#define ML_BINDINGS_INSPECT_INSPECTOR_H

#include "bindings/core/lua_runtime.h"

struct ml_inspectors {
    /* Starts the inspector of a runtime, on a thread of its own, unless it has one. 0 or a negated
     * errno. */
    int (*start)(struct ml_lua *lua);
    /* Whether a signal is to end the program. */
    bool (*is_interrupted)(struct ml_lua *lua);
};

/* moonlet.inspector.core. */
int ml_open_inspector(lua_State *L);

#endif
