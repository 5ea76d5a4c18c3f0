/*
 * A strand: one C stack's worth of a task. A task begins with one, its body. A generator or a
 * greenlet that the body resumes is another, which runs as the same task: when it waits, the whole
 * task does. Knows neither Lua nor the values that travel between strands.
 *
 * The strands of a task that have begun to run form a chain, from the one that runs through its
 * resumers down to the body. A suspended strand belongs to no task: any task of the hub may resume
 * it.
 */
#ifndef ML_HUB_STATE_STRAND_H
#define ML_HUB_STATE_STRAND_H

#include "coro/bank.h"
#include "coro/coro.h"

struct ml_hub;
struct ml_scope;
struct ml_task;

/* Lies in the two lowest bits of coro.tag. Above them, for a strand that runs deep in a chain: the
 * KiB of the frames below it. */
enum ml_strand_state {
    ML_STRAND_UNBOUND,   /* has not begun, or has ended: without a stack */
    ML_STRAND_SUSPENDED, /* left off somewhere */
    ML_STRAND_ACTIVE,    /* in a task's chain, or in a branch (hub/switch/branch.h) */
    ML_STRAND_STATES = 3 /* a mask */
};

/* From this depth of a chain on its frames are weighed. */
enum { ML_STRAND_WEIGHED = 16, ML_STRAND_WEIGHT_SHIFT = 2 };

struct ml_strand {
    struct ml_coro coro;
    struct ml_strand *resumer; /* the next in the chain; NULL for a body, and outside a chain */
    struct ml_scope *scope;    /* while suspended: the innermost of those that it holds open */
};

static inline enum ml_strand_state ml_strand_state(const struct ml_strand *strand)
{
    return (enum ml_strand_state)(strand->coro.tag & ML_STRAND_STATES);
}

/* Whether the address of a frame lies on the stack that the strand is bound to. A C library may be
 * on a stack of its own (makecontext() and the like, a signal's handler). No switch is possible
 * from there, because it is unknown what of the strand's own stack is in use. */
static inline bool ml_strand_holds(const struct ml_strand *strand, const void *address)
{
    const struct ml_stack *stack = &strand->coro.seat->stack;
    return (uintptr_t)address - (uintptr_t)stack->base < stack->size;
}

#endif
