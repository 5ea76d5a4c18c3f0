/*
 * How long Lua's collector has worked on a thread that runs a runtime's tasks, finalizers included,
 * since metrics are on. Stock Lua tells of no step: the time is known only where the program links
 * the static liblua, whose calls of the collector lead to vm/export_collector.c.
 */
#ifndef ML_BINDINGS_INSPECT_COLLECTOR_CLOCK_H
#define ML_BINDINGS_INSPECT_COLLECTOR_CLOCK_H

#include "bindings/core/lua_runtime.h"

/* Measures from now on; does nothing if it does. False: the time is not known here. */
bool ml_collector_watch(struct ml_lua *lua);

/* The collector begins to work, on the thread of the caller. The clock for ml_collector_end();
 * NULL: nobody measures, or the collector works already. */
struct ml_collector_clock *ml_collector_begin(void);

/* It has done its work. A finalizer cannot leave it: errors of finalizers are caught, and they may
 * not switch. */
void ml_collector_end(struct ml_collector_clock *clock);

#endif
