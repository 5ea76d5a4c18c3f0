/* The results or the error of a task that has ended. */
#ifndef ML_BINDINGS_CORE_TASK_RESULT_H
#define ML_BINDINGS_CORE_TASK_RESULT_H

#include <lua.h>

/* Pushes the value, or the error, with which the Task at `handle` has ended; nil without one. */
void ml_lua_task_push_value(lua_State *L, int handle);

/* Pushes the results of joining the Task at `handle`, which has ended: true and its results; or
 * nil, its error value, "EFAILED"; or nil, message, "ECANCELED". Returns how many. */
int ml_lua_task_push_end(lua_State *L, int handle);

#endif
