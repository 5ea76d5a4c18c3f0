/*
 * Greenlets: coroutines that switch to each other symmetrically, each with a parent that takes over
 * when it dies; the semantics are those of Python's greenlet. Each belongs to one task, whose own
 * body is the root of its tree.
 */
#ifndef ML_BINDINGS_GREENLET_H
#define ML_BINDINGS_GREENLET_H

#include "bindings/lua_runtime.h"

#include "hub/branch.h"

struct ml_greenlet;

/* What the thread of a greenlet runs; never returns to its caller for long: see hub->strand_body. */
void ml_greenlet_body(struct ml_strand *strand);

/* The frames of the greenlet that the task runs are being abandoned. */
void ml_greenlet_abandon(struct ml_lua_task *task);

#endif
