/*
 * The debugger's side in the debugged runtime: looks for the places where a task is to stop, by
 * hooks, and stops it there. A stopped task waits, and others go on. Breakpoints are told to it
 * resolved; conditions, names of files and values are the business of its client, which is the Lua
 * module moonlet.inspect.debugger.
 *
 * While there is a breakpoint every thread has a hook for calls; lines are looked at only while a
 * function that has one runs, and returns only below one. Without breakpoint, step and pause there
 * is no hook.
 */
#ifndef ML_BINDINGS_INSPECT_DEBUGGER_H
#define ML_BINDINGS_INSPECT_DEBUGGER_H

#include "bindings/inspect/debugger_state.h"

/* Sets or removes the hooks as breakpoints, steps and pauses demand. To be called after a change of
 * them; `again`: which functions have breakpoints has changed. */
void ml_debugger_update(struct ml_debugger *debugger, bool again);

/* Lets a stopped task go on with that aim. False: it is not stopped. */
bool ml_debugger_release(struct ml_debugger *debugger, struct ml_flow *flow, enum ml_aim aim);

/* Gives a task's flow an aim. */
void ml_debugger_aim(struct ml_debugger *debugger, struct ml_flow *flow, enum ml_aim aim);

/* Has the task stop at its next line. False: no memory. */
bool ml_debugger_pause(struct ml_debugger *debugger, struct ml_task *task);

/* The running task works for the inspector, and never stops: the client's next request is served by
 * one, too. Harmless without a client. False: no memory. */
bool ml_debugger_own(struct ml_lua *lua);

/* Installs the kinds of hooks. */
void ml_debugger_open(struct ml_lua *lua);

/* Called for debugger->observer. */
void ml_debugger_observe(struct ml_observer *observer, struct ml_task *task,
                         enum ml_task_event event);

/* moonlet.inspect.debugger.core. */
int ml_open_inspect_debugger(lua_State *L);

#endif
