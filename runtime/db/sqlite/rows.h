/* Steps through a statement and packs its rows into the call's output. */
#ifndef ML_DB_SQLITE_ROWS_H
#define ML_DB_SQLITE_ROWS_H

#include "db/sqlite/connection.h"

/* Steps until the call has as many rows as it takes. SQLITE_ROW: there may be more. SQLITE_DONE, an
 * error of SQLite's, or ML_SQLITE_NO_MEMORY. */
int ml_sqlite_step(struct ml_sqlite_call *call, const struct ml_sqlite_statement *statement);

#endif
