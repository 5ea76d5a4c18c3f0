/*
 * A stop of the debugger's: a task, or the whole thread where that may not wait, is held until the
 * client lets it go on. Knows no reason to stop.
 */
#ifndef ML_BINDINGS_INSPECT_STOP_H
#define ML_BINDINGS_INSPECT_STOP_H

#include "bindings/inspect/debugger_state.h"

/* Texts for the client. */
enum { ML_STOP_HITS = 16 };
struct ml_stop {
    const char *reason;     /* of the Debug Adapter Protocol */
    int hits[ML_STOP_HITS]; /* ids of breakpoints */
    int count;
    bool has_error; /* the error is on top of the thread */
};

/* Whether the client wants a stop at that breakpoint, at which the running task is on L. Without
 * memory: yes. */
bool ml_stop_is_wanted(struct ml_debugger *debugger, lua_State *L, int id);

/* Stops the running task, whose code runs on L, or has failed there; returns when it is released.
 * Does not raise. */
void ml_stop_here(struct ml_debugger *debugger, lua_State *L, const struct ml_stop *stop);

/* Ends the wait of a stopped task that was released. */
void ml_stop_end(struct ml_task *task);

/* Has tasks stop at errors as the debugger wants, or not any more. */
void ml_stop_install(struct ml_debugger *debugger);

/* Prepares the registry: the table of the client's functions is on top of the stack, and popped. */
void ml_stop_open(lua_State *L);

#endif
