/* The rows that a call has brought as Lua values. */
#ifndef ML_BINDINGS_DB_SQLITE_ROWS_H
#define ML_BINDINGS_DB_SQLITE_ROWS_H

#include "db/sqlite/connection.h"

#include <lua.h>

/*
 * `how`: index of a table with the options of the script: `null`, the value for NULL (nil: such
 * columns are absent), and `types`, functions by declared type.
 */

/* Appends the rows to the list on top of the stack, which has `count` of them. Returns how many it
 * has then. */
lua_Integer ml_sqlite_append_rows(lua_State *L, const struct ml_sqlite_call *call, int how,
                                  lua_Integer count);

/* Pushes the row, or its first value, that stands in `cells` behind the names of its columns. `how`
 * has no types. */
void ml_sqlite_push_cells(lua_State *L, const struct ml_cell *cells, unsigned columns, int how,
                          bool is_row);

/* Pushes the only row as a table; nil: there is none. */
void ml_sqlite_push_row(lua_State *L, const struct ml_sqlite_call *call, int how);

/* Pushes its first value; nil: there is none. */
void ml_sqlite_push_value(lua_State *L, const struct ml_sqlite_call *call, int how);

#endif
