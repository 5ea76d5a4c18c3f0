/*
 * A connection to a PostgreSQL server: opened and closed by tasks, its notices and notifications
 * kept until somebody asks for them. Knows no queries (db/postgres/pipeline.h), no names of hosts
 * and no Lua.
 */
#ifndef ML_DB_POSTGRES_CONNECTION_H
#define ML_DB_POSTGRES_CONNECTION_H

#include "db/postgres/state.h"

/* A closed one. */
void ml_pg_init(struct ml_pg *pg, struct ml_hub *hub);

/*
 * Opens a closed one, in pipeline mode. keywords, values: of libpq, ended by NULL; hosts should be
 * addresses, since libpq looks up names by a call that blocks where libc's calls are not replaced.
 *
 * - 0;
 * - -ECONNREFUSED: PQerrorMessage() says why. To be closed, as after the next ones;
 * - -ETIMEDOUT, -ECANCELED, -ECHILD; -ENOMEM: it may be closed already.
 */
int ml_pg_open(struct ml_pg *pg, const char *const *keywords, const char *const *values,
               ml_time deadline);

/* Closes one whose query, if any, the server is to cancel: at its own end it would find out late,
 * or never. Otherwise as ml_pg_close(). */
void ml_pg_abort(struct ml_pg *pg);

/* Closes it. Requests end with -ML_ECLOSED; a cancellation that is under way goes on. Harmless on a
 * closed one. Never waits. */
void ml_pg_close(struct ml_pg *pg);

/* Whether an idle one still answers, as far as can be seen without a wait. */
bool ml_pg_is_alive(struct ml_pg *pg);

#endif
