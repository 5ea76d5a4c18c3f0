/* `require` for tasks. */
#ifndef ML_BINDINGS_LIB_REQUIRE_H
#define ML_BINDINGS_LIB_REQUIRE_H

#include <lua.h>

/* Replaces that of the standard library. Raises. */
void ml_open_require(lua_State *L);

#endif
