/* moonlet.fs.watch: what changes in directories, for moonlet.fs. */
#ifndef ML_BINDINGS_FILE_WATCH_H
#define ML_BINDINGS_FILE_WATCH_H

#include <lua.h>

/* Opens the module. */
int ml_open_fs_watch(lua_State *L);

#endif
