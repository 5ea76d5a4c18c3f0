/* One task as a table of plain values, for dumps. Knows neither which tasks are shown nor how. */
#ifndef ML_BINDINGS_INSPECT_TASK_ENTRY_H
#define ML_BINDINGS_INSPECT_TASK_ENTRY_H

#include "bindings/core/lua_task.h"

/* Where the calls of the running task stand, for a dump of all tasks. */
struct ml_dump_place {
    lua_State *running; /* the thread whose code runs; NULL: no task's does */
    int level;          /* of its innermost call to show */
};

/* "new", "ready", "running" or "waiting". */
const char *ml_task_state_name(const struct ml_task *task);

/* The text of what a waiting task waits for, without the number; NULL: it does not wait. */
const char *ml_task_wait_text(const struct ml_task *task);

/* Pushes the entry of a live task: see inspect.tasks(). names: the index of a table from
 * ml_frames_push_names(), 0: without its calls. Raises for want of memory. */
void ml_task_entry_push(lua_State *L, struct ml_lua_task *task, struct ml_dump_place place,
                        int names);

#endif
