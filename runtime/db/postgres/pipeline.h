/*
 * Queries of many tasks on one connection, in libpq's pipeline mode: each request ends with a sync
 * of its own, so that it is a transaction of its own unless one is open. The task of one request
 * reads the answers for all; when it has its own, the next takes over. Knows no statements and no
 * values.
 */
#ifndef ML_DB_POSTGRES_PIPELINE_H
#define ML_DB_POSTGRES_PIPELINE_H

#include "db/postgres/state.h"

/* What one query sends. Parameters as of PQsendQueryParams(). */
struct ml_pg_query {
    const char
        *before;     /* a command without parameters ahead of it, under the same sync; NULL: none */
    const char *sql; /* NULL: the statement `name` is prepared already */
    const char *name; /* prepares `sql` under that name and runs it; NULL: unnamed, runs it */
    int count;        /* of parameters */
    const Oid *types;
    const char *const *values;
    const int *lengths;
    const int *formats;
    bool is_streamed; /* the results are taken one by one with ml_pg_next(), rows as they come */
};

struct ml_pg_request {
    struct ml_link link; /* in pg->requests until it is over */
    struct ml_pg *pg;
    struct ml_link waiters; /* its task, while another one reads */
    PGresult *result;       /* so far: the first error, else the last result */
    int error;              /* once it is over: 0, or the reason why there is no result */
    unsigned users;         /* tasks that are in a call with it */
    bool is_over;
    bool has_ended; /* of a streamed one: its query has ended, though the sync has not come */
    bool is_streamed;
    bool is_abandoned;  /* its task has given up: freed when it is over */
    bool is_left;       /* likewise, but its query is to run to its end */
    bool may_be_struck; /* another request's cancellation may have met this one */
};

/*
 * Sends a query; *sent is to be released. Never waits: what finds no room in the socket goes out
 * while its task, or another one, waits for answers.
 *
 * - 0;
 * - -ECONNRESET: the connection is broken, by this or before: PQerrorMessage() says why;
 * - -ML_ECLOSED; -ENOMEM, nothing was sent;
 * - -ECHILD: the task has forked this process, and the socket is its parent's.
 */
int ml_pg_send(struct ml_pg *pg, const struct ml_pg_query *query, struct ml_pg_request **sent);

/* Waits until the request is over: 0, then look at its error and result. Otherwise the request is
 * still under way: -ETIMEDOUT, -ECANCELED, -ENOMEM, -ECHILD. */
int ml_pg_await(struct ml_pg_request *request, ml_time deadline);

/*
 * The next result of a streamed request, which is alone on its connection: a row, or the end of the
 * rows, or an error; to be freed by the caller. *result is NULL after the last one.
 *
 * - 0;
 * - -ECONNRESET: the connection is broken;
 * - -ML_ECLOSED: it was closed, or another task has released the request meanwhile;
 * - -ETIMEDOUT, -ECANCELED, -EBUSY, -ENOMEM, -ECHILD.
 */
int ml_pg_next(struct ml_pg_request *request, PGresult **result, ml_time deadline);

/* Frees a request that is over. Otherwise it is abandoned: its answer will be passed over, and the
 * server is asked to cancel its query as soon as that runs. NULL is allowed. Never waits. */
void ml_pg_request_release(struct ml_pg_request *request);

/* Lets a request go on without anybody to wait for it; it is not cancelled. */
void ml_pg_request_leave(struct ml_pg_request *request);

/* Waits until nothing is under way on a connection that no other task uses: abandoned requests and
 * a cancellation. 0; -ECONNRESET, -ML_ECLOSED, -ETIMEDOUT, -ECANCELED, -ENOMEM, -ECHILD. */
int ml_pg_settle(struct ml_pg *pg, ml_time deadline);

/* Whether nothing is under way, so that ml_pg_settle() would not wait. */
static inline bool ml_pg_is_settled(const struct ml_pg *pg)
{
    return ml_list_is_empty(&pg->requests) && pg->cancel == NULL && !pg->is_simple;
}

/* The connection is broken: all its requests are over, those without an answer with -ECONNRESET. */
void ml_pg_break(struct ml_pg *pg);

/* Ends all requests with the error. */
void ml_pg_end_requests(struct ml_pg *pg, int error);

#endif
