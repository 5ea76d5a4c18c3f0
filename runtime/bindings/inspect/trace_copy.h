/* The last of a trace as plain values, with all names that it needs: another runtime may make text
 * of it. */
#ifndef ML_BINDINGS_INSPECT_TRACE_COPY_H
#define ML_BINDINGS_INSPECT_TRACE_COPY_H

#include "hub/state/trace.h"

#include <lua.h>

/*
 * Pushes a table, without `names`, of what was recorded in the last `span` nanoseconds. Raises
 * without memory; does not wait.
 *
 * - records: the records, as they lie in memory (hub/state/trace.h);
 * - started, ended: nanoseconds of the monotonic clock, at the record before the first, and now;
 * - tick: nanoseconds of a tick;
 * - kinds: number -> what is waited for;
 * - running: slot of the task that ran at the start, nil: unknown;
 * - tasks: slot -> {id, name or false, line or ""}, of tasks that live;
 * - lines: number -> line, of those that have ended.
 */
void ml_trace_push_copy(lua_State *L, struct ml_trace *trace, ml_time span);

#endif
