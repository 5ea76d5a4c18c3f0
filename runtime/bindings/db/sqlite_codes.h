/* The names of SQLite's results, as scripts get them. */
#ifndef ML_BINDINGS_DB_SQLITE_CODES_H
#define ML_BINDINGS_DB_SQLITE_CODES_H

#include <lua.h>

/* Pushes the name: "SQLITE_BUSY", "SQLITE_CONSTRAINT_UNIQUE"; of one that is not known, that of its
 * kind. For a refusal (db/sqlite/refusal.h): "SQLITE_MISUSE", and "WRITES" for a statement that
 * changes something and must not. */
void ml_sqlite_push_code(lua_State *L, int result);

/* The sentence of a refusal. */
const char *ml_sqlite_refusal_text(int result);

#endif
