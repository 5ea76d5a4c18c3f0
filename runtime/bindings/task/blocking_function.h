/* C functions that block, called on a worker thread. */
#ifndef ML_BINDINGS_TASK_BLOCKING_FUNCTION_H
#define ML_BINDINGS_TASK_BLOCKING_FUNCTION_H

#include <lua.h>

/* moonlet.blocking.core, a function */
int ml_open_blocking(lua_State *L);

#endif
