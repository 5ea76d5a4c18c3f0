/* The standard library for tasks. */
#ifndef ML_BINDINGS_LIB_STANDARD_H
#define ML_BINDINGS_LIB_STANDARD_H

#include <lua.h>

/* Replaces pcall, xpcall, load, os.exit, require and coroutine.* in the standard library with
 * versions that know tasks and let cancellations through. After luaL_openlibs(). */
void ml_open_standard(lua_State *L);

#endif
