/* moonlet.fs.core: what stdlib/moonlet/fs.lua is made of. */
#ifndef ML_BINDINGS_FILE_FS_H
#define ML_BINDINGS_FILE_FS_H

#include <lua.h>

int ml_open_fs(lua_State *L);

#endif
