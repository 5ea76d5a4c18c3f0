/*
 * The code that a runtime's thread runs, as signal handlers on that thread find it: the running
 * task and the threads of its chain. Knows no reason for a hook.
 */
#ifndef ML_VM_RUNNING_H
#define ML_VM_RUNNING_H

#include "bindings/core/hooks.h"
#include "bindings/core/lua_strand.h"
#include "hub/state/hub.h"

#include <stddef.h>

/* The task whose code runs or is about to run; NULL: none, the hub runs. */
static inline struct ml_task *ml_running_task(const struct ml_hub *hub)
{
    bool is_handed_off =
        hub->switcher.handoff != NULL && hub->switcher.handoff->state == ML_TASK_RUNNING;
    return hub->current == NULL && is_handed_off ? hub->switcher.handoff : hub->current;
}

/* Sets the hook on every thread of the chain: a generator may end before its next instruction.
 * Signal handlers may call it. */
static inline void ml_chain_touch(struct ml_task *task, enum ml_hook_reason reason)
{
    for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer)
        ml_hooks_touch(ml_thread_of(strand), reason);
}

/* Sets the hook on the chain as the reasons in force demand, or removes it. */
static inline void ml_chain_refresh(struct ml_task *task)
{
    for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer)
        ml_hooks_refresh(ml_thread_of(strand));
}

#endif
