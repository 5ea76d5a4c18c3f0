/* The calls that run statements, for ml_sqlite_run(). */
#ifndef ML_DB_SQLITE_STATEMENT_CALL_H
#define ML_DB_SQLITE_STATEMENT_CALL_H

#include "db/sqlite/connection.h"

/* Runs the statement call.text. */
int ml_sqlite_execute(struct ml_sqlite *c);

/* Brings the next rows of call.cursor. */
int ml_sqlite_fetch(struct ml_sqlite *c);

/* Runs the statements of call.text, one after the other, up to the first that fails. */
int ml_sqlite_script(struct ml_sqlite *c);

/* Ends a cursor before its end. No call is running. */
void ml_sqlite_drop_cursor(struct ml_sqlite *c, struct ml_sqlite_statement *cursor);

/* Ends all of them. */
void ml_sqlite_drop_all_cursors(struct ml_sqlite *c);

#endif
