/*
 * The graph of waits: edges from a task to those that have to act before it can go on
 * (bindings/inspect/holders.h), and its cycles. Knows nothing of how they are shown.
 */
#ifndef ML_BINDINGS_INSPECT_WAIT_GRAPH_H
#define ML_BINDINGS_INSPECT_WAIT_GRAPH_H

#include "bindings/inspect/task_walk.h"

/* How many there are, with those beyond the limits. */
struct ml_wait_counts {
    lua_Integer edges, deadlocks;
};

/*
 * Pushes two lists and returns how many there are.
 *
 * - Edges: {from=, from_name=, to=, to_name=, waits_for=, deadline=}, `limit` at most.
 * - Deadlocks: {tasks= entries without calls, each of which waits for the next and the last for the
 *   first, deadline= seconds until a time limit ends one of the waits, nil: none does}. Others may
 *   run while the graph is walked over, so each cycle is looked at once more, in one go: it is a
 *   deadlock if no member has switched and each still waits for the next. A deadlock that was there
 *   at the begin is found, unless it has more than ML_GRAPH_PATH members. All that are listed have
 *   so many members at most; others are counted.
 *
 * Raises for want of memory.
 */
struct ml_wait_counts ml_wait_graph_push(lua_State *L, lua_Integer limit, ml_time slice);

/* The most tasks on the way from one to another. */
enum { ML_GRAPH_PATH = 10000 };

#endif
