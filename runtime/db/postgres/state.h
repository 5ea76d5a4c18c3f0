/*
 * The state of a connection to PostgreSQL that the files of this room share. Functions:
 * db/postgres/connection.h, db/postgres/pipeline.h, db/postgres/simple.h.
 */
#ifndef ML_DB_POSTGRES_STATE_H
#define ML_DB_POSTGRES_STATE_H

#include "db/postgres/libpq.h"
#include "hub/on/fd.h"

#include <stddef.h>
#include <sys/types.h>

struct ml_pg_cancel;

/* Texts of notices, one after the other, each with its zero byte. A flood keeps the first ones. */
struct ml_pg_notices {
    char *texts;
    size_t size;
    unsigned dropped; /* notices that found no room */
    bool are_kept;    /* somebody will ask for them */
};

/* Bytes of notices that are kept at a time. */
enum { ML_PG_NOTICES_SIZE = 65536 };

struct ml_pg {
    struct ml_hub *hub;
    PGconn *conn; /* NULL: not opened, or closed */
    struct ml_fd fd;
    pid_t process;           /* that opened it: a forked one must not say goodbye to the server */
    bool is_broken;          /* it will never answer again; the reason is PQerrorMessage()'s */
    bool is_simple;          /* outside pipeline mode: db/postgres/simple.h */
    bool is_read;            /* a task reads answers, for itself and for the others */
    struct ml_link requests; /* struct ml_pg_request, in the order in which they were sent */
    struct ml_pg_cancel *cancel; /* of a query, under way; NULL: none is */
    struct ml_link settlers;     /* tasks that wait for its end */
    struct ml_pg_notices notices;
};

#endif
