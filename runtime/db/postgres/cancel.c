#include "db/postgres/cancel.h"

#include "base/check.h"
#include "hub/on/offload.h"
#include "hub/state/waiters.h"

#include <errno.h>
#include <stdlib.h>

struct ml_pg_cancel {
    struct ml_job job;
    PGcancel *cancel;
    struct ml_pg *pg; /* read on the hub only; NULL: forgotten */
};

static struct ml_pg_cancel *cancel_of(struct ml_job *job)
{
    return ml_container_of(job, struct ml_pg_cancel, job);
}

/* If the server cannot be reached, the query goes on, and the connection is found out by that. */
static void run(struct ml_job *job)
{
    char message[256];
    ml_libpq.PQcancel(cancel_of(job)->cancel, message, sizeof message);
}

static void release(struct ml_job *job)
{
    struct ml_pg_cancel *c = cancel_of(job);
    ml_libpq.PQfreeCancel(c->cancel);
    free(c);
}

static void finished(struct ml_job *job)
{
    struct ml_pg *pg = cancel_of(job)->pg;
    if (pg != NULL) {
        pg->cancel = NULL;
        ml_wake_all(pg->hub, &pg->settlers);
    }
    release(job);
}

int ml_pg_cancel_start(struct ml_pg *pg)
{
    if (pg->cancel != NULL)
        return 0;
    struct ml_pg_cancel *c = calloc(1, sizeof *c);
    PGcancel *cancel = c != NULL ? ml_libpq.PQgetCancel(pg->conn) : NULL;
    if (cancel == NULL) {
        free(c);
        return -ENOMEM;
    }
    *c = (struct ml_pg_cancel){.cancel = cancel, .pg = pg};
    c->job = (struct ml_job){
        .run = run, .release = release, .finished = finished, .work = ML_WORK_CLOSE};
    pg->cancel = c;
    int error = ml_offload_start(pg->hub, &c->job);
    if (error != 0)
        pg->cancel = NULL;
    return error;
}

void ml_pg_cancel_forget(struct ml_pg *pg)
{
    if (pg->cancel != NULL)
        pg->cancel->pg = NULL;
    pg->cancel = NULL;
    ml_wake_all(pg->hub, &pg->settlers);
}
