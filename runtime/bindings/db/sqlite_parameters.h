/* A script's values as the parameters of a statement of SQLite's. */
#ifndef ML_BINDINGS_DB_SQLITE_PARAMETERS_H
#define ML_BINDINGS_DB_SQLITE_PARAMETERS_H

#include "db/sqlite/connection.h"

#include <lua.h>

/* Packs the values from index `first` on, or the fields of one table without a metatable, into the
 * call. Returns the flag for them: 0 or ML_SQLITE_NAMED. Raises for a value that SQLite cannot
 * hold. */
unsigned ml_sqlite_pack(lua_State *L, int first, struct ml_sqlite_call *call);

#endif
