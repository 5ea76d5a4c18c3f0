/* The birth and the end of the state that one runtime's bindings share. */
#ifndef ML_BINDINGS_CORE_LUA_OPEN_H
#define ML_BINDINGS_CORE_LUA_OPEN_H

#include "bindings/core/lua_runtime.h"

/* Opens the bindings on a fresh state: `lua` is zeroed, its hub is set up. Raises on `L` (call it
 * protected). */
void ml_lua_open(lua_State *L, struct ml_lua *lua);

/* Frees memory that is not Lua's, after lua_close(). */
void ml_lua_release(struct ml_lua *lua);

#endif
