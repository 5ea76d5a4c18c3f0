/*
 * The shortest way of db:row() and db:value(): a statement that only finds a row
 * (db/sqlite/short.h) runs on this thread, on a connection that is idle, without a loan in between.
 */
#ifndef ML_BINDINGS_DB_SQLITE_QUICK_H
#define ML_BINDINGS_DB_SQLITE_QUICK_H

#include <lua.h>

/*
 * Pushes two functions, quick_row and quick_value: (database, text, ...) -> true, and the row or
 * the value; or false: nothing was done, and the database must take its usual way, which also
 * raises what is wrong with the arguments. They know the tables of stdlib/moonlet/sql/database.lua
 * and loans.lua.
 */
void ml_sqlite_push_quick(lua_State *L);

#endif
