/*
 * A walk over the live tasks in slices: between two slices the walker lets others run, where it may
 * wait. Where it may not, it goes on. Knows nothing of what is done with a task.
 */
#ifndef ML_BINDINGS_INSPECT_TASK_WALK_H
#define ML_BINDINGS_INSPECT_TASK_WALK_H

#include "bindings/core/lua_task.h"

/* How long a slice takes: a walk delays others by this and the look at one task. */
#define ML_WALK_SLICE (ML_MILLISECOND / 2)

struct ml_task_walk {
    lua_State *L;      /* on which the walker runs */
    uint32_t slot;     /* where to go on */
    uint64_t last_id;  /* tasks with larger numbers began after the walk */
    ml_time slice;     /* ML_WALK_SLICE; less: for tests */
    ml_time slice_end; /* by the real clock */
};

struct ml_task_walk ml_task_walk(lua_State *L, ml_time slice);

/* The next task that was there when the walk began, and still is; NULL: that was all. It is valid
 * until the next call. Others may run meanwhile. Raises nothing. */
struct ml_lua_task *ml_task_walk_next(struct ml_task_walk *walk);

/* Lets others run if the slice is over; whether they did. */
bool ml_task_walk_rest(struct ml_task_walk *walk);

#endif
