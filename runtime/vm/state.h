/* The Lua state of a runtime. */
#ifndef ML_VM_STATE_H
#define ML_VM_STATE_H

#include <lua.h>

/* Opens the standard libraries, the bindings and the embedded modules. Raises. */
int ml_state_open(lua_State *L);

#endif
