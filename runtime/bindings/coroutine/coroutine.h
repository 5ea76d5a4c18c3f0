/* The standard library's coroutine.* for tasks. */
#ifndef ML_BINDINGS_COROUTINE_COROUTINE_H
#define ML_BINDINGS_COROUTINE_COROUTINE_H

#include <lua.h>

/* Replaces its functions. Raises. */
void ml_open_coroutine(lua_State *L);

#endif
