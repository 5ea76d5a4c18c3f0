/*
 * The connections of one database file whose closing has begun, for a task that waits for their
 * end: until then SQLite may still write to the file. Knows no connection.
 */
#ifndef ML_DB_SQLITE_CLOSINGS_H
#define ML_DB_SQLITE_CLOSINGS_H

#include "base/list.h"
#include "hub/state/hub.h"

#include <stdatomic.h>

struct ml_sqlite_closings {
    atomic_uint users;
    struct ml_hub *hub;
    unsigned under_way;     /* the hub's thread counts */
    struct ml_link waiting; /* tasks */
};

/* One user has it. NULL: no memory. */
struct ml_sqlite_closings *ml_sqlite_closings_new(struct ml_hub *hub);

/* One user more; one less, from any thread: the last frees it. NULL is nothing. */
struct ml_sqlite_closings *ml_sqlite_closings_share(struct ml_sqlite_closings *c);
void ml_sqlite_closings_drop(struct ml_sqlite_closings *c);

/* A closing begins; it has ended, which may wake tasks. On the hub's thread. */
void ml_sqlite_closings_begin(struct ml_sqlite_closings *c);
void ml_sqlite_closings_end(struct ml_sqlite_closings *c);

/* Waits until none is under way. An error of ml_wait() otherwise. */
int ml_sqlite_closings_wait(struct ml_sqlite_closings *c);

#endif
