/*
 * What PostgreSQL does outside pipeline mode: texts of several commands, and COPY. The connection
 * is the caller's alone and settled (ml_pg_settle()). Knows neither pool nor statements.
 */
#ifndef ML_DB_POSTGRES_SIMPLE_H
#define ML_DB_POSTGRES_SIMPLE_H

#include "db/postgres/state.h"

/*
 * All of these may wait, and return
 *
 * - 0;
 * - -ECONNRESET, -ML_ECLOSED: the connection is broken or closed;
 * - -ETIMEDOUT, -ECANCELED, -EBUSY, -ENOMEM, -ECHILD: what is under way stays so, and the
 * connection serves for nothing else until ml_pg_simple_next() has given NULL.
 */

/* Leaves pipeline mode and sends the text. */
int ml_pg_simple_send(struct ml_pg *pg, const char *sql, ml_time deadline);

/* The next result, to be freed by the caller; NULL: there is none, and pipeline mode is on again.
 */
int ml_pg_simple_next(struct ml_pg *pg, PGresult **result, ml_time deadline);

/* After a result PGRES_COPY_IN: sends data, and waits until the socket has taken it. */
int ml_pg_copy_put(struct ml_pg *pg, const char *data, size_t size, ml_time deadline);

/* Ends that; with `reason` the server drops what it got. Then results come. */
int ml_pg_copy_end(struct ml_pg *pg, const char *reason, ml_time deadline);

/* After a result PGRES_COPY_OUT: the next piece, a row, to be freed with PQfreemem(); NULL: that
 * was all, results come. */
int ml_pg_copy_get(struct ml_pg *pg, char **data, size_t *size, ml_time deadline);

/* The next notification that has come, or comes until the deadline; to be freed with PQfreemem().
 * -ETIMEDOUT: there was none. */
int ml_pg_notification(struct ml_pg *pg, PGnotify **notification, ml_time deadline);

#endif
