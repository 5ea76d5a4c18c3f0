/* Tracebacks of tasks: the calls on all threads of the chain, and the line where it was spawned. */
#ifndef ML_BINDINGS_CORE_TRACEBACK_H
#define ML_BINDINGS_CORE_TRACEBACK_H

#include "bindings/core/lua_task.h"

/* Pushes the traceback of a task, its coroutines' first and where it was spawned last, after
 * `message` (may be NULL). */
void ml_lua_push_traceback(lua_State *L, struct ml_lua_task *task, const char *message);

/* Removes from the end of the traceback on top of L the lowest frame, if it is a C function: the
 * one with which each thread begins under an instruction limit. */
void ml_strip_bottom_frame(lua_State *L);

/* Pushes the traceback from `level` on of the innermost thread, which may be L itself. */
void ml_lua_push_traceback_at(lua_State *L, struct ml_lua_task *task, const char *message,
                              int level);

#endif
