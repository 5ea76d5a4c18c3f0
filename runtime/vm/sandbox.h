/* What scripts get that are not trusted. */
#ifndef ML_VM_SANDBOX_H
#define ML_VM_SANDBOX_H

#include <lua.h>

/* Leaves of the library what scripts get without the parts in options.without. Raises. */
void ml_sandbox_close(lua_State *L, unsigned without);

/* For scripts in place of its upvalue, getmetatable or that of the debug library: gives out no
 * metatable of userdata. Those have finalizers, which a script would call or replace, and are the
 * same for all. */
int ml_sandbox_getmetatable(lua_State *L);

#endif
