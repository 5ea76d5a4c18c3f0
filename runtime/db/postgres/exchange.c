#include "db/postgres/exchange.h"

#include "base/error.h"

#include <errno.h>

static int wait_for_both(struct ml_pg *pg, const struct ml_wait_kind *kind, ml_time deadline)
{
    int error = ml_fd_watch(&pg->fd, ML_FD_READ);
    if (error == 0)
        error = ml_fd_watch(&pg->fd, ML_FD_WRITE);
    if (error == 0)
        error = ml_wait(pg->hub, kind, (uint32_t)pg->fd.number, NULL, deadline);
    ml_fd_unwatch(&pg->fd);
    return error;
}

int ml_pg_look(const struct ml_pg *pg)
{
    if (pg->hub->life.is_forked)
        return -ECHILD;
    return pg->conn == NULL ? -ML_ECLOSED : 0;
}

int ml_pg_exchange(struct ml_pg *pg, const struct ml_wait_kind *kind, ml_time deadline)
{
    int error = ml_pg_look(pg);
    if (error != 0)
        return error;
    int left = ml_libpq.PQflush(pg->conn);
    if (left < 0)
        return -ECONNRESET;
    error = left > 0 ? wait_for_both(pg, kind, deadline)
                     : ml_fd_wait(&pg->fd, ML_FD_READ, kind, deadline);
    if (error == 0 && pg->conn == NULL)
        return -ML_ECLOSED;
    return error == 0 && !ml_libpq.PQconsumeInput(pg->conn) ? -ECONNRESET : error;
}
