/* The library that untrusted scripts get. */
#ifndef ML_VM_SANDBOX_H
#define ML_VM_SANDBOX_H

#include <lua.h>

/* Leaves in the library only what scripts get without the parts in options.without. Raises. */
void ml_sandbox_close(lua_State *L, unsigned without);

/* For scripts in place of its upvalue, getmetatable or that of the debug library: returns no
 * metatable of userdata. Those have finalizers, which a script could call or replace, and are
 * shared by all. */
int ml_sandbox_getmetatable(lua_State *L);

#endif
