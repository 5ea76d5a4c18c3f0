/* The module moonlet.patch. */
#ifndef ML_BINDINGS_LIB_PATCH_H
#define ML_BINDINGS_LIB_PATCH_H

#include <lua.h>

/* moonlet.patch */
int ml_open_patch(lua_State *L);

#endif
