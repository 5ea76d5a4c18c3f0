/*
 * Greenlets: coroutines that switch to each other symmetrically, each with a parent that takes over
 * when it dies; the semantics are those of Python's greenlet. Each belongs to one task, whose own
 * body is the root of its tree.
 */
#ifndef ML_BINDINGS_COROUTINE_GREENLET_H
#define ML_BINDINGS_COROUTINE_GREENLET_H

#include "bindings/core/lua_runtime.h"

#include "hub/switch/branch.h"

struct ml_greenlet;

/* What the thread of a greenlet runs; never returns to its caller for long: see
 * hub->hooks.strand_body.
 */
void ml_greenlet_body(struct ml_strand *strand);

/* The frames of the greenlet that the task runs are being abandoned. */
void ml_greenlet_abandon(struct ml_lua_task *task);

/* Ends the dropped greenlets of the running task, which are children of the running one meanwhile:
 * runs their code, and may wait. Raises the task's cancellation. Does nothing where a switch is not
 * allowed. */
void ml_greenlet_kill_dropped(lua_State *L);

/* The same, in a call that may switch anyway, before it has looked at anything. */
static inline void ml_greenlet_attend(lua_State *L)
{
    if (ml_unlikely(ml_lua_of(L)->dropped_greenlets > 0))
        ml_greenlet_kill_dropped(L);
}

/* The task ends: its dropped greenlets do so in tasks of their own. Never raises. */
void ml_greenlet_orphan(struct ml_lua *lua, struct ml_lua_task *task);

/* collectgarbage, after which they die. */
void ml_greenlet_open_collectgarbage(lua_State *L);

#endif
