#include "db/postgres/connection.h"

#include "base/error.h"
#include "db/postgres/cancel.h"
#include "db/postgres/exchange.h"
#include "db/postgres/pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ml_wait_kind connect_kind = {"a PostgreSQL server to take a connection",
                                                 ML_TARGET_DESCRIPTOR, true, false};

void ml_pg_init(struct ml_pg *pg, struct ml_hub *hub)
{
    *pg = (struct ml_pg){.hub = hub};
    ml_fd_init(&pg->fd, hub);
    ml_list_init(&pg->requests);
    ml_list_init(&pg->settlers);
}

/* ---- notices ---- */

/* An idle connection that the server ends gets its last words as a notice. */
static bool is_fatal(const PGresult *result)
{
    const char *severity = ml_libpq.PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/* Called by libpq while it reads. */
static void keep_notice(void *owner, const PGresult *result)
{
    struct ml_pg *pg = owner;
    struct ml_pg_notices *notices = &pg->notices;
    pg->is_broken = pg->is_broken || is_fatal(result);
    const char *text = ml_libpq.PQresultErrorMessage(result);
    size_t size = strlen(text) + 1;
    if (!notices->are_kept)
        return;
    char *grown = size <= ML_PG_NOTICES_SIZE - notices->size
                      ? realloc(notices->texts, notices->size + size)
                      : NULL;
    if (grown == NULL) {
        notices->dropped++;
        return;
    }
    memcpy(grown + notices->size, text, size);
    notices->texts = grown;
    notices->size += size;
}

/* ---- opening ---- */

/* libpq closes the socket of an attempt that failed and opens another, perhaps under the same
 * number: no watcher is left on it between two waits. */
static int wait_for_step(struct ml_pg *pg, PostgresPollingStatusType step, ml_time deadline)
{
    enum ml_fd_event event = step == PGRES_POLLING_READING ? ML_FD_READ : ML_FD_WRITE;
    ml_fd_open(&pg->fd, ml_libpq.PQsocket(pg->conn));
    int error = ml_fd_wait(&pg->fd, event, &connect_kind, deadline);
    if (ml_fd_is_open(&pg->fd))
        ml_fd_detach(&pg->fd);
    return error;
}

static int connect_steps(struct ml_pg *pg, ml_time deadline)
{
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    int error = 0;
    while (error == 0 && step != PGRES_POLLING_OK) {
        error = wait_for_step(pg, step, deadline);
        if (error == 0 && pg->conn == NULL)
            error = -ML_ECLOSED;
        if (error == 0)
            step = ml_libpq.PQconnectPoll(pg->conn);
        if (error == 0 && step == PGRES_POLLING_FAILED)
            error = -ECONNREFUSED;
    }
    return error;
}

/* With codes in the messages: libpq has no other way to tell why the server refused. */
static int start(struct ml_pg *pg, const char *const *keywords, const char *const *values)
{
    pg->process = getpid();
    pg->conn = ml_libpq.PQconnectStartParams(keywords, values, 0);
    if (pg->conn == NULL)
        return -ENOMEM;
    ml_libpq.PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
    ml_libpq.PQsetNoticeReceiver(pg->conn, keep_notice, pg);
    return ml_libpq.PQstatus(pg->conn) == CONNECTION_BAD ? -ECONNREFUSED : 0;
}

static int finish(struct ml_pg *pg)
{
    ml_libpq.PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
    if (ml_libpq.PQsetnonblocking(pg->conn, 1) != 0 || !ml_libpq.PQenterPipelineMode(pg->conn))
        return -ECONNREFUSED;
    ml_fd_open(&pg->fd, ml_libpq.PQsocket(pg->conn));
    return 0;
}

int ml_pg_open(struct ml_pg *pg, const char *const *keywords, const char *const *values,
               ml_time deadline)
{
    int error = start(pg, keywords, values);
    if (error == 0)
        error = connect_steps(pg, deadline);
    return error == 0 ? finish(pg) : error;
}

/* ---- closing ---- */

/* In a forked process the server is not told, since the parent goes on with the connection. */
static void leave_to_parent(struct ml_pg *pg)
{
    int number = ml_libpq.PQsocket(pg->conn);
    int nothing = number >= 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    if (nothing >= 0) {
        dup3(nothing, number, O_CLOEXEC);
        close(nothing);
    }
}

void ml_pg_close(struct ml_pg *pg)
{
    PGconn *conn = pg->conn;
    if (conn == NULL)
        return;
    if (pg->process != getpid())
        leave_to_parent(pg);
    if (ml_fd_is_open(&pg->fd))
        ml_fd_detach(&pg->fd);
    pg->conn = NULL;
    ml_pg_end_requests(pg, -ML_ECLOSED);
    ml_pg_cancel_forget(pg);
    ml_libpq.PQfinish(conn);
    free(pg->notices.texts);
    pg->notices = (struct ml_pg_notices){.are_kept = pg->notices.are_kept};
}

void ml_pg_abort(struct ml_pg *pg)
{
    bool is_under_way = pg->is_simple || !ml_list_is_empty(&pg->requests);
    bool is_ours = pg->conn != NULL && pg->process == getpid();
    if (is_ours && is_under_way && !pg->is_broken)
        ml_pg_cancel_start(pg);
    ml_pg_close(pg);
}

/* Reads what has come, and has libpq look at it. */
static bool read_idle(struct ml_pg *pg)
{
    PGnotify *notification;
    bool is_read = ml_libpq.PQconsumeInput(pg->conn);
    while ((notification = ml_libpq.PQnotifies(pg->conn)) != NULL)
        ml_libpq.PQfreemem(notification);
    return is_read && ml_libpq.PQstatus(pg->conn) == CONNECTION_OK && !pg->is_broken;
}

/* Twice: the first finds the last words of a server that ends, the second the end. A forked process
 * must read nothing: it is its parent's. */
bool ml_pg_is_alive(struct ml_pg *pg)
{
    return ml_pg_look(pg) == 0 && !pg->is_broken && read_idle(pg) && read_idle(pg);
}
