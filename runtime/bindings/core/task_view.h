/*
 * What scripts and people see of a task: its name, how it ended, where it is. Changes nothing.
 */
#ifndef ML_BINDINGS_CORE_TASK_VIEW_H
#define ML_BINDINGS_CORE_TASK_VIEW_H

#include "bindings/core/lua_task.h"

/* Pushes the value, or the error, with which the Task at `handle` has ended; nil without one. */
void ml_lua_task_push_value(lua_State *L, int handle);

/* Pushes the group of the Task at `handle`, a member. */
void ml_lua_task_push_group(lua_State *L, int handle);

/* Pushes what joining the Task at `handle`, which has ended, returns: true and its results; or nil,
 * its error value, "EFAILED"; or nil, message, "ECANCELED". Returns how many. */
int ml_lua_task_push_end(lua_State *L, int handle);

/* Pushes the name, or nil, of the Task at `handle`; returns it, or NULL. */
const char *ml_lua_push_task_name(lua_State *L, int handle);

/* Pushes a text that names the Task at `handle`: "task 'name' (#3)" or "task #3". */
void ml_lua_push_task_text(lua_State *L, int handle);

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
