/* moonlet.fs.watch.core: what changes in directories, for moonlet.fs. */
#ifndef ML_BINDINGS_FILE_WATCH_H
#define ML_BINDINGS_FILE_WATCH_H

#include <lua.h>
#include <stdbool.h>

/* Opens the module. */
int ml_open_fs_watch(lua_State *L);

/* Whether the descriptor is that of watches which are all closed: it stays open a little longer. */
bool ml_fs_watch_lingers(lua_State *L, int fd);

#endif
