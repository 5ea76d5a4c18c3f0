#include "db/sqlite/closings.h"

#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <stdlib.h>

static const struct ml_wait_kind closing_kind = {.text = "a database to close", .external = true};

struct ml_sqlite_closings *ml_sqlite_closings_new(struct ml_hub *hub)
{
    struct ml_sqlite_closings *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    atomic_init(&c->users, 1);
    c->hub = hub;
    ml_list_init(&c->waiting);
    return c;
}

struct ml_sqlite_closings *ml_sqlite_closings_share(struct ml_sqlite_closings *c)
{
    if (c != NULL)
        atomic_fetch_add_explicit(&c->users, 1, memory_order_relaxed);
    return c;
}

void ml_sqlite_closings_drop(struct ml_sqlite_closings *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->users, 1, memory_order_acq_rel) == 1)
        free(c);
}

void ml_sqlite_closings_begin(struct ml_sqlite_closings *c)
{
    if (c != NULL)
        c->under_way++;
}

void ml_sqlite_closings_end(struct ml_sqlite_closings *c)
{
    if (c != NULL && --c->under_way == 0)
        ml_wake_all(c->hub, &c->waiting);
}

int ml_sqlite_closings_wait(struct ml_sqlite_closings *c)
{
    int error = 0;
    while (error == 0 && c->under_way > 0)
        error = ml_wait(c->hub, &closing_kind, 0, &c->waiting, ML_FOREVER);
    return error;
}
