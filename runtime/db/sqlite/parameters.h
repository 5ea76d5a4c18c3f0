/* Binds the parameters of a call to its statement. Knows no Lua. */
#ifndef ML_DB_SQLITE_PARAMETERS_H
#define ML_DB_SQLITE_PARAMETERS_H

#include "db/sqlite/connection.h"

/* SQLITE_OK, another result of SQLite's, or ML_SQLITE_PARAMETERS, ML_SQLITE_UNNAMED with a message
 * in the call. */
int ml_sqlite_bind(struct ml_sqlite_call *call, sqlite3_stmt *handle);

#endif
