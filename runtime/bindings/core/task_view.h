/* Properties of a task for scripts and reports: its name, its group. Changes nothing. */
#ifndef ML_BINDINGS_CORE_TASK_VIEW_H
#define ML_BINDINGS_CORE_TASK_VIEW_H

#include "bindings/core/lua_task.h"

/* Pushes the group of the Task at `handle`, a member. */
void ml_lua_task_push_group(lua_State *L, int handle);

/* Pushes the name, or nil, of the Task at `handle`; returns it, or NULL. */
const char *ml_lua_push_task_name(lua_State *L, int handle);

/* Pushes a text that names the Task at `handle`: "task 'name' (#3)" or "task #3". */
void ml_lua_push_task_text(lua_State *L, int handle);

#endif
