/*
 * How long tasks that can run wait for their turn, how long they keep the thread, how late they
 * wake from deadlines: an observer of the hub, from the first call on until the runtime ends.
 */
#ifndef ML_BINDINGS_INSPECT_TASK_TIMES_H
#define ML_BINDINGS_INSPECT_TASK_TIMES_H

#include <lua.h>

/* core.times() -> name -> a table with count, sum, most, buckets (how many do not exceed each of
 * `bounds`, and of all), bounds (seconds), quantiles. The first call begins to measure. */
int ml_inspect_times(lua_State *L);

/* Registers the type. Keeps the stack as it is. */
void ml_open_times_type(lua_State *L);

#endif
