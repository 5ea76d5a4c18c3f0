#include "db/postgres/pipeline.h"

#include "base/check.h"
#include "base/error.h"
#include "db/postgres/cancel.h"
#include "db/postgres/exchange.h"
#include "hub/state/ready.h"
#include "hub/state/waiters.h"

#include <errno.h>
#include <stdlib.h>

static const struct ml_wait_kind answer_kind = {"an answer of a PostgreSQL server",
                                                ML_TARGET_DESCRIPTOR, true, false};
static const struct ml_wait_kind cancel_kind = {"a PostgreSQL server to cancel a query",
                                                ML_TARGET_NONE, true, false};

static struct ml_pg_request *request_of(struct ml_link *link)
{
    return ml_container_of(link, struct ml_pg_request, link);
}

/* NULL: none is under way. */
static struct ml_pg_request *first_of(struct ml_pg *pg)
{
    return ml_list_is_empty(&pg->requests) ? NULL : request_of(pg->requests.next);
}

/* The task that reads looks again at what it waits for. */
static void wake_reader(struct ml_pg *pg)
{
    if (pg->is_read && pg->fd.sides[ML_FD_READ].waiter != NULL)
        ml_task_wake(pg->fd.sides[ML_FD_READ].waiter, ML_WAKE_EVENT);
}

/* ---- the end of a request ---- */

static void free_request(struct ml_pg_request *request)
{
    ml_libpq.PQclear(request->result);
    free(request);
}

static void end_request(struct ml_pg_request *request, int error)
{
    ml_list_remove(&request->link);
    request->is_over = true;
    request->error = error;
    if (request->is_abandoned && request->users == 0)
        free_request(request);
    else
        ml_wake_all(request->pg->hub, &request->waiters);
}

void ml_pg_end_requests(struct ml_pg *pg, int error)
{
    struct ml_pg_request *request;
    while ((request = first_of(pg)) != NULL)
        end_request(request, request->result != NULL ? 0 : error);
}

/* libpq may have closed the socket, on which the task that reads would wait for ever. */
void ml_pg_break(struct ml_pg *pg)
{
    pg->is_broken = true;
    ml_pg_end_requests(pg, -ECONNRESET);
    wake_reader(pg);
}

/* The server runs the first request, if any. If its task has given up, the query is cancelled; a
 * request behind it may be struck if that begins before the cancellation arrives. */
static void cancel_first(struct ml_pg *pg)
{
    struct ml_pg_request *first = first_of(pg);
    bool is_wanted = first == NULL || !first->is_abandoned || first->is_left;
    if (is_wanted || pg->cancel != NULL || pg->conn == NULL)
        return;
    for (struct ml_link *link = first->link.next; link != &pg->requests; link = link->next)
        request_of(link)->may_be_struck = true;
    if (ml_pg_cancel_start(pg) != 0)
        ml_pg_break(pg);
}

/* ---- answers ---- */

static bool is_copy(ExecStatusType status)
{
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* Keeps the first error, else the last result. */
static void keep(struct ml_pg_request *request, PGresult *result)
{
    bool has_failed =
        request->result != NULL && ml_libpq.PQresultStatus(request->result) == PGRES_FATAL_ERROR;
    if (has_failed || ml_libpq.PQresultStatus(result) == PGRES_PIPELINE_ABORTED) {
        ml_libpq.PQclear(result);
        return;
    }
    ml_libpq.PQclear(request->result);
    request->result = result;
}

/* Takes a result of the first request. False: it is a NULL, which ends a command. */
static bool take(struct ml_pg *pg, struct ml_pg_request *first, PGresult *result)
{
    if (result == NULL)
        return false;
    ExecStatusType status = ml_libpq.PQresultStatus(result);
    if (status != PGRES_PIPELINE_SYNC) {
        keep(first, result);
        if (is_copy(status))
            ml_pg_break(pg);
        return true;
    }
    ml_libpq.PQclear(result);
    end_request(first, 0);
    cancel_first(pg);
    return true;
}

static void drop_notifications(struct ml_pg *pg)
{
    PGnotify *notification;
    while ((notification = ml_libpq.PQnotifies(pg->conn)) != NULL)
        ml_libpq.PQfreemem(notification);
}

static bool is_collected(const struct ml_pg_request *first)
{
    return first != NULL && (!first->is_streamed || first->is_abandoned);
}

/* Takes all answers that have been read. Two NULLs in a row: libpq expects nothing more, so the
 * connection is broken. */
static void collect(struct ml_pg *pg)
{
    struct ml_pg_request *first;
    bool was_result = true, is_result = true;
    while (pg->conn != NULL && is_collected(first = first_of(pg)) && !ml_libpq.PQisBusy(pg->conn) &&
           (was_result || is_result)) {
        was_result = is_result;
        is_result = take(pg, first, ml_libpq.PQgetResult(pg->conn));
    }
    if (pg->conn == NULL)
        return;
    bool is_lost = !was_result && !is_result && is_collected(first_of(pg));
    if (is_lost || ml_libpq.PQstatus(pg->conn) == CONNECTION_BAD)
        ml_pg_break(pg);
    else
        drop_notifications(pg);
}

/* Reads answers, or waits in `queue` while another task does. */
static int step(struct ml_pg *pg, struct ml_link *queue, ml_time deadline)
{
    if (pg->is_read)
        return ml_wait(pg->hub, &answer_kind, (uint32_t)pg->fd.number, queue, deadline);
    pg->is_read = true;
    int error = ml_pg_exchange(pg, &answer_kind, deadline);
    pg->is_read = false;
    if (error == 0 || error == -ECONNRESET)
        collect(pg);
    if (error == -ECONNRESET)
        ml_pg_break(pg);
    return error == -ECONNRESET ? 0 : error;
}

/* The task that has read goes: another one that waits is to read. */
static void pass_on(struct ml_pg *pg)
{
    struct ml_link *link = pg->requests.next;
    while (link != &pg->requests && ml_list_is_empty(&request_of(link)->waiters))
        link = link->next;
    if (!pg->is_read && link != &pg->requests)
        ml_wake_first(pg->hub, &request_of(link)->waiters);
}

int ml_pg_await(struct ml_pg_request *request, ml_time deadline)
{
    struct ml_pg *pg = request->pg;
    int error = 0;
    while (!request->is_over && error == 0)
        error = step(pg, &request->waiters, deadline);
    pass_on(pg);
    return request->is_over ? 0 : error;
}

/* ---- sending ---- */

static bool send_query(PGconn *conn, const struct ml_pg_query *q, bool *was_begun)
{
    if (q->before != NULL &&
        !ml_libpq.PQsendQueryParams(conn, q->before, 0, NULL, NULL, NULL, NULL, 0))
        return false;
    *was_begun = q->before != NULL;
    if (q->name == NULL)
        return ml_libpq.PQsendQueryParams(conn, q->sql, q->count, q->types, q->values, q->lengths,
                                          q->formats, 0);
    if (q->sql != NULL && !ml_libpq.PQsendPrepare(conn, q->name, q->sql, q->count, q->types))
        return false;
    *was_begun = *was_begun || q->sql != NULL;
    return ml_libpq.PQsendQueryPrepared(conn, q->name, q->count, q->values, q->lengths, q->formats,
                                        0);
}

/* The task that reads may wait for nothing but input: it is to write, too. */
static void flush(struct ml_pg *pg)
{
    if (ml_libpq.PQflush(pg->conn) > 0)
        wake_reader(pg);
}

static int try_send(struct ml_pg *pg, const struct ml_pg_query *query)
{
    bool was_begun = false;
    bool is_sent = send_query(pg->conn, query, &was_begun);
    if (is_sent && query->is_streamed)
        ml_libpq.PQsetSingleRowMode(pg->conn);
    was_begun = was_begun || is_sent;
    if (is_sent && ml_libpq.PQpipelineSync(pg->conn)) {
        flush(pg);
        return 0;
    }
    if (!was_begun && ml_libpq.PQstatus(pg->conn) == CONNECTION_OK)
        return -ENOMEM;
    collect(pg);
    ml_pg_break(pg);
    return -ECONNRESET;
}

int ml_pg_send(struct ml_pg *pg, const struct ml_pg_query *query, struct ml_pg_request **sent)
{
    *sent = NULL;
    int error = ml_pg_look(pg);
    if (error == 0 && pg->is_broken)
        error = -ECONNRESET;
    if (error != 0)
        return error;
    struct ml_pg_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return -ENOMEM;
    request->pg = pg;
    request->is_streamed = query->is_streamed;
    request->may_be_struck = pg->cancel != NULL;
    ml_list_init(&request->waiters);
    error = try_send(pg, query);
    if (error != 0) {
        free(request);
        return error;
    }
    ml_list_insert(&pg->requests, &request->link);
    *sent = request;
    return 0;
}

/* ---- giving up ---- */

void ml_pg_request_release(struct ml_pg_request *request)
{
    if (request == NULL)
        return;
    if (request->is_over) {
        free_request(request);
        return;
    }
    request->is_abandoned = true;
    request->is_left = request->has_ended;
    wake_reader(request->pg);
    cancel_first(request->pg);
}

void ml_pg_request_leave(struct ml_pg_request *request)
{
    if (request->is_over) {
        free_request(request);
    } else {
        request->is_abandoned = true;
        request->is_left = true;
    }
}

/* Reads one more answer. A cancellation that reached the server before its query did nothing: it is
 * asked again. */
static int settle_step(struct ml_pg *pg, ml_time deadline)
{
    ml_time soon = ml_time_after(ml_clock_now(), 100 * ML_MILLISECOND);
    int error = step(pg, &pg->settlers, ml_time_earlier(soon, deadline));
    if (error != -ETIMEDOUT || soon >= deadline)
        return error;
    cancel_first(pg);
    return 0;
}

/* Whether a request is still under way. The answers of one that was abandoned may have been read
 * long ago: the socket has nothing more to say then. */
static bool is_under_way(struct ml_pg *pg)
{
    if (!pg->is_read)
        collect(pg);
    return pg->conn != NULL && !ml_list_is_empty(&pg->requests);
}

int ml_pg_settle(struct ml_pg *pg, ml_time deadline)
{
    int error = 0;
    while (error == 0 && is_under_way(pg))
        error = settle_step(pg, deadline);
    while (error == 0 && pg->cancel != NULL)
        error = ml_wait(pg->hub, &cancel_kind, 0, &pg->settlers, deadline);
    if (error == 0 && pg->conn == NULL)
        error = -ML_ECLOSED;
    return error == 0 && (pg->is_broken || pg->is_simple) ? -ECONNRESET : error;
}

/* ---- streams ---- */

/* Whether the result ends the stream: the sync behind its last command. */
static bool is_end(struct ml_pg_request *request, PGresult *result)
{
    if (result == NULL || ml_libpq.PQresultStatus(result) != PGRES_PIPELINE_SYNC)
        return false;
    ml_libpq.PQclear(result);
    end_request(request, 0);
    return true;
}

/* Takes a result that has been read. False: there was none. */
static bool take_streamed(struct ml_pg_request *request, PGresult **result)
{
    struct ml_pg *pg = request->pg;
    bool is_twice = false;
    *result = NULL;
    while (!request->is_over && *result == NULL && !ml_libpq.PQisBusy(pg->conn)) {
        PGresult *next = ml_libpq.PQgetResult(pg->conn);
        if (next == NULL && is_twice)
            ml_pg_break(pg);
        is_twice = next == NULL;
        if (next != NULL && !is_end(request, next))
            *result = next;
        request->has_ended |=
            *result != NULL && ml_libpq.PQresultStatus(*result) != PGRES_SINGLE_TUPLE;
    }
    if (!request->is_over && ml_libpq.PQstatus(pg->conn) == CONNECTION_BAD)
        ml_pg_break(pg);
    return request->is_over || *result != NULL;
}

/* A call with the request ends, which another task may have released meanwhile. */
static void drop_user(struct ml_pg_request *request)
{
    if (--request->users == 0 && request->is_over && request->is_abandoned)
        free_request(request);
}

int ml_pg_next(struct ml_pg_request *request, PGresult **result, ml_time deadline)
{
    struct ml_pg *pg = request->pg;
    int error = 0;
    *result = NULL;
    request->users++;
    while (error == 0 && !request->is_over && !request->is_abandoned &&
           !take_streamed(request, result))
        error = step(pg, &request->waiters, deadline);
    if (error == 0 && *result == NULL)
        error = request->is_abandoned ? -ML_ECLOSED : request->error;
    drop_user(request);
    return error;
}
