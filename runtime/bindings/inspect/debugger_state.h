/*
 * The state of the debugger in the debugged runtime, which bindings/inspect/debugger.c,
 * bindings/inspect/stop.c and bindings/inspect/debugger_core.c share.
 */
#ifndef ML_BINDINGS_INSPECT_DEBUGGER_STATE_H
#define ML_BINDINGS_INSPECT_DEBUGGER_STATE_H

#include "bindings/core/lua_runtime.h"
#include "bindings/inspect/breakpoints.h"
#include "bindings/inspect/flows.h"
#include "bindings/inspect/thread_set.h"
#include "hub/state/observer.h"

struct ml_debugger {
    struct ml_lua *lua;
    struct ml_observer observer; /* added while hooks stand */
    struct ml_breakpoints breakpoints;
    struct ml_flows flows;
    struct ml_thread_set examined;
    lua_State *L; /* runs the client's functions; has no hook */
    uint64_t last_stop;
    bool is_attached;       /* there is a client */
    bool is_standing;       /* hooks are */
    bool pauses_all;        /* each task stops at its next line */
    bool freezes;           /* deadlines of a stopped task stand still */
    bool stops_at_uncaught; /* errors that end a task */
    bool stops_at_raised;   /* errors that a protected call or a resume catches */
    bool is_serving;        /* the thread stands still for the client */
    /* Waits for requests of the client, for a while at most, and serves them on L, blocking the
     * thread. False: none will come. NULL: only tasks serve it, and code that may not wait does not
     * stop. */
    bool (*serve)(lua_State *L);
    /* The thread whose lines are looked at although it is not known whether they are wanted: when
     * that was to be found out, calls of the client's stood on it. NULL: there is none. */
    lua_State *unclear;
};

#endif
