#include "db/postgres/simple.h"

#include "base/error.h"
#include "db/postgres/exchange.h"
#include "db/postgres/pipeline.h"

#include <errno.h>

static const struct ml_wait_kind answer_kind = {"an answer of a PostgreSQL server",
                                                ML_TARGET_DESCRIPTOR, true, false};
static const struct ml_wait_kind room_kind = {"a PostgreSQL server to take data",
                                              ML_TARGET_DESCRIPTOR, true, false};
static const struct ml_wait_kind notify_kind = {"a notification of a PostgreSQL server",
                                                ML_TARGET_DESCRIPTOR, true, true};

/* The error of a call of libpq that failed, or that of a connection that was closed meanwhile. */
static int failure(struct ml_pg *pg)
{
    if (pg->conn == NULL)
        return -ML_ECLOSED;
    ml_pg_break(pg);
    return -ECONNRESET;
}

static int exchange(struct ml_pg *pg, const struct ml_wait_kind *kind, ml_time deadline)
{
    int error = ml_pg_exchange(pg, kind, deadline);
    return error == -ECONNRESET ? failure(pg) : error;
}

/* Waits until all output has gone. */
static int drain(struct ml_pg *pg, ml_time deadline)
{
    int left = 1, error = 0;
    while (error == 0 && (left = ml_libpq.PQflush(pg->conn)) > 0)
        error = exchange(pg, &room_kind, deadline);
    return error == 0 && left < 0 ? failure(pg) : error;
}

int ml_pg_simple_send(struct ml_pg *pg, const char *sql, ml_time deadline)
{
    int error = ml_pg_look(pg);
    if (error != 0)
        return error;
    if (pg->is_broken || !ml_libpq.PQexitPipelineMode(pg->conn))
        return failure(pg);
    pg->is_simple = true;
    return ml_libpq.PQsendQuery(pg->conn, sql) ? drain(pg, deadline) : failure(pg);
}

static int enter_pipeline(struct ml_pg *pg)
{
    bool is_good =
        ml_libpq.PQstatus(pg->conn) == CONNECTION_OK && ml_libpq.PQenterPipelineMode(pg->conn);
    pg->is_simple = !is_good;
    return is_good ? 0 : failure(pg);
}

int ml_pg_simple_next(struct ml_pg *pg, PGresult **result, ml_time deadline)
{
    int error = ml_pg_look(pg);
    *result = NULL;
    while (error == 0 && ml_libpq.PQisBusy(pg->conn))
        error = exchange(pg, &answer_kind, deadline);
    if (error == 0)
        *result = ml_libpq.PQgetResult(pg->conn);
    return error == 0 && *result == NULL ? enter_pipeline(pg) : error;
}

/* ---- COPY ---- */

int ml_pg_copy_put(struct ml_pg *pg, const char *data, size_t size, ml_time deadline)
{
    int error = ml_pg_look(pg);
    while (error == 0 && size > 0) {
        size_t piece = size < 65536 ? size : 65536;
        int is_taken = ml_libpq.PQputCopyData(pg->conn, data, (int)piece);
        if (is_taken > 0) {
            data += piece;
            size -= piece;
        }
        error = is_taken < 0 ? failure(pg) : drain(pg, deadline);
    }
    return error;
}

int ml_pg_copy_end(struct ml_pg *pg, const char *reason, ml_time deadline)
{
    int error = ml_pg_look(pg), is_taken = 0;
    while (error == 0 && is_taken == 0) {
        is_taken = ml_libpq.PQputCopyEnd(pg->conn, reason);
        error = is_taken < 0 ? failure(pg) : drain(pg, deadline);
    }
    return error;
}

int ml_pg_copy_get(struct ml_pg *pg, char **data, size_t *size, ml_time deadline)
{
    int error = ml_pg_look(pg), got = 0;
    *data = NULL;
    while (error == 0 && (got = ml_libpq.PQgetCopyData(pg->conn, data, 1)) == 0)
        error = exchange(pg, &answer_kind, deadline);
    if (error == 0 && got < -1)
        error = failure(pg);
    *size = got > 0 ? (size_t)got : 0;
    return error;
}

/* ---- notifications ---- */

int ml_pg_notification(struct ml_pg *pg, PGnotify **notification, ml_time deadline)
{
    int error = pg->conn == NULL ? -ML_ECLOSED : pg->is_broken ? -ECONNRESET : 0;
    *notification = NULL;
    while (error == 0 && (*notification = ml_libpq.PQnotifies(pg->conn)) == NULL) {
        error = exchange(pg, &notify_kind, deadline);
        if (error == 0 && ml_libpq.PQstatus(pg->conn) == CONNECTION_BAD)
            error = failure(pg);
    }
    return error;
}
