/*
 * The inspector's own side of the wire, as its Lua code uses it: moonlet.inspector.core. How an
 * inspector is started is installed by vm/ (lua->inspect.inspectors).
 */
#ifndef ML_BINDINGS_INSPECT_INSPECTOR_H
#define ML_BINDINGS_INSPECT_INSPECTOR_H

#include "bindings/core/lua_runtime.h"

/* The most frames of a native backtrace, and the longest text of one. */
enum { ML_HANG_FRAMES = 32, ML_HANG_TEXT = 160 };

/* What the thread of a runtime does that does not answer. */
struct ml_hang {
    bool computes;           /* it uses its processor, and does not wait in the kernel */
    char call[ML_HANG_TEXT]; /* the system call in which it waits; "": none, or not known */
    int count;               /* of the frames, the innermost first */
    char frames[ML_HANG_FRAMES][ML_HANG_TEXT];
};

struct ml_inspectors {
    /* Starts the inspector of a runtime, on a thread of its own, unless it has one. 0 or a negated
     * errno. */
    int (*start)(struct ml_lua *lua);
    /* From another thread, while the runtime is open: has code that computes serve requests at its
     * next instruction (ml_agent_serve()). 0; -EAGAIN: none computes now; or another error. */
    int (*poke)(struct ml_lua *lua, void *nothing);
    /* The same: finds out what the thread does. 0. */
    int (*look)(struct ml_lua *lua, void *hang);
    /* The same: the program is to end as by SIGTERM. 0. */
    int (*interrupt)(struct ml_lua *lua, void *nothing);
    /* Whether a signal is to end the program. */
    bool (*is_interrupted)(struct ml_lua *lua);
};

/* moonlet.inspector.core. */
int ml_open_inspector(lua_State *L);

#endif
