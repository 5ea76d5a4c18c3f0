/* The module moonlet.task. */
#ifndef ML_BINDINGS_TASK_TASK_H
#define ML_BINDINGS_TASK_TASK_H

#include "hub/state/scope.h"

#include <lua.h>

/* moonlet.task.core */
int ml_open_task(lua_State *L);

/* Creates the metatable of Tasks, which the program needs before any script asks for moonlet.task.
 */
void ml_open_task_type(lua_State *L);

/* Calls the function at 2 with the arguments above it in a scope of its own; what stands at 1 is
 * overwritten. Returns the number of its results, or of a failure: its deadline has passed. Raises
 * its errors. */
int ml_call_in_scope(lua_State *L, enum ml_scope_kind kind, ml_time deadline);

#endif
