/* The arguments of task.spawn and group:spawn: [opts,] fn, ... */
#ifndef ML_BINDINGS_TASK_TASK_OPTIONS_H
#define ML_BINDINGS_TASK_TASK_OPTIONS_H

#include "bindings/core/lua_spawn.h"
#include "bindings/core/lua_task.h"

/* Whether it is a function, or another value that can be called. */
bool ml_is_callable(lua_State *L, int index);

/* Raises for any other value. */
void ml_check_callable(lua_State *L, int index);

/*
 * Reads [opts,] fn from `index` on; raises for wrong arguments. Afterwards the name, or nil, is at
 * `index`, and the function after it. Fields that no option sets are zero.
 */
struct ml_lua_spawn ml_check_spawn(lua_State *L, int index);

/* moonlet.argument.core */
int ml_open_argument(lua_State *L);

#endif
