/* Tracebacks of tasks: the calls on all threads of the chain, and where it was spawned. */
#ifndef ML_BINDINGS_CORE_TRACEBACK_H
#define ML_BINDINGS_CORE_TRACEBACK_H

#include "bindings/core/lua_task.h"

/* Pushes the traceback of a task, its coroutines' first and where it was spawned last, after
 * `message` (may be NULL). */
void ml_lua_push_traceback(lua_State *L, struct ml_lua_task *task, const char *message);

/* Takes from the end of the traceback on top of L the lowest frame, if it is a C function: that
 * with which each thread begins under an instruction limit. */
void ml_strip_bottom_frame(lua_State *L);

/* The same from `level` on of its innermost thread, L itself if that is it. */
void ml_lua_push_traceback_at(lua_State *L, struct ml_lua_task *task, const char *message,
                              int level);

#endif
