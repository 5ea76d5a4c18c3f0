/* Reads and writes what a connection has, and waits for it. Knows no queries. */
#ifndef ML_DB_POSTGRES_EXCHANGE_H
#define ML_DB_POSTGRES_EXCHANGE_H

#include "db/postgres/state.h"

/* 0; -ML_ECLOSED; -ECHILD: the task has forked this process, and the socket is its parent's:
 * nothing may be read from it or written to it. */
int ml_pg_look(const struct ml_pg *pg);

/*
 * Waits until there is something to read or, while output is left, room to write; reads and writes
 * that. 0: it may have; -ECONNRESET: the connection is broken; -ML_ECLOSED; -EBUSY: another task
 * waits for it; -ETIMEDOUT, -ECANCELED, -ENOMEM, -ECHILD.
 */
int ml_pg_exchange(struct ml_pg *pg, const struct ml_wait_kind *kind, ml_time deadline);

#endif
