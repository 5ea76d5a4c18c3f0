/*
 * Asks the server to cancel the query that a connection runs, on a worker, since libpq's call
 * blocks. Knows no requests.
 */
#ifndef ML_DB_POSTGRES_CANCEL_H
#define ML_DB_POSTGRES_CANCEL_H

#include "db/postgres/state.h"

/* Begins, unless a cancellation is under way. When that is over, pg->cancel is NULL and the tasks
 * in pg->settlers are woken: what is sent from then on is safe from it. 0 or -ENOMEM, -EAGAIN,
 * -ECHILD: there will be none. Never waits. */
int ml_pg_cancel_start(struct ml_pg *pg);

/* Nobody waits for a cancellation that is under way; it goes on. */
void ml_pg_cancel_forget(struct ml_pg *pg);

#endif
