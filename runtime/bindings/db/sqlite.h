/* moonlet.sqlite.core: connections to SQLite, of which stdlib/moonlet/sqlite.lua makes pools. */
#ifndef ML_BINDINGS_DB_SQLITE_H
#define ML_BINDINGS_DB_SQLITE_H

#include <lua.h>

int ml_open_sqlite(lua_State *L);

#endif
