/* Results of PostgreSQL as Lua values: rows, counts, and errors with their SQLSTATE. */
#ifndef ML_BINDINGS_POSTGRES_RESULT_H
#define ML_BINDINGS_POSTGRES_RESULT_H

#include "bindings/postgres/values.h"
#include "db/postgres/pipeline.h"

/* What of a result the script wants. */
enum ml_pg_want {
    ML_PG_COUNT, /* how many rows were changed */
    ML_PG_ROW,   /* the first row; nil: there is none */
    ML_PG_ROWS,  /* a list of all */
    ML_PG_VALUE, /* the first column of the first row */
    ML_PG_TAG    /* the command, as PostgreSQL names what it has done */
};

/* Pushes what is wanted of a result without an error: 1 value. May call the script's functions. */
void ml_pg_push_result(lua_State *L, const struct ml_pg_reading *how, const PGresult *result,
                       enum ml_pg_want want);

/* Whether the result is an error's. */
bool ml_pg_has_failed(const PGresult *result);

/* Pushes nil, message, SQLSTATE and a table of what else the server said; is_struck: a cancellation
 * of another query may be the reason. Returns 4. */
int ml_pg_push_error(lua_State *L, const PGresult *result, bool is_struck);

/* Pushes nil, message and code for an error of the connection, negated: libpq's words and "08006"
 * for -ECONNRESET and -ECONNREFUSED. Returns 3. */
int ml_pg_push_failure(lua_State *L, const struct ml_pg *pg, int error);

#endif
