/*
 * Tasks grouped by equal stacks: those in the same state, that wait for the same kind of thing in
 * the same calls, and that were spawned in the same line. Knows nothing of how groups are shown.
 */
#ifndef ML_BINDINGS_INSPECT_TASK_GROUPS_H
#define ML_BINDINGS_INSPECT_TASK_GROUPS_H

#include "bindings/inspect/task_entry.h"

/* Of each group so many tasks are described. */
enum { ML_GROUP_TASKS = 20 };

struct ml_task_groups {
    int list;         /* index of the list of groups: {count, state, ..., tasks, stack} */
    int places;       /* ... of a table: number of a stack -> group */
    int names;        /* ... of the table from ml_frames_push_names() */
    int limit;        /* the most groups */
    bool by_target;   /* tasks that wait for different tasks are of different groups */
    lua_Integer left; /* tasks for which there was no group */
};

/* Pushes the three tables. */
struct ml_task_groups ml_task_groups_push(lua_State *L, int limit, bool by_target);

/* Adds a task. Raises for want of memory. */
void ml_task_groups_add(lua_State *L, struct ml_task_groups *groups, struct ml_lua_task *task,
                        struct ml_dump_place place);

#endif
