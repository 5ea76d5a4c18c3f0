/* The walks of moonlet.fs: iterators over trees of directories. */
#ifndef ML_BINDINGS_FILE_WALK_H
#define ML_BINDINGS_FILE_WALK_H

#include <lua.h>

/* Registers walks, and sets walk() in the module on top of the stack. */
void ml_set_walk_function(lua_State *L);

#endif
