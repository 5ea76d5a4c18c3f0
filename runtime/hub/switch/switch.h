/*
 * The switch from task to task and from strand to strand, and the birth and end of tasks. Knows no
 * descriptor, no clock but the one that says when the hub is to look around, and no reason to wait.
 */
#ifndef ML_HUB_SWITCH_SWITCH_H
#define ML_HUB_SWITCH_SWITCH_H

#include "hub/state/hub.h"

struct ml_spawn_options {
    bool is_daemon;
    bool private_stack;
};

/*
 * Makes `task` ready to run hub->hooks.body at the end of the queue, on the strand `body`, which is
 * unbound. The memory is the caller's, zeroed, and stays until the task has ended. 0 or -ENOMEM;
 * then it never was a task.
 */
int ml_task_spawn(struct ml_hub *hub, struct ml_task *task, struct ml_strand *body,
                  struct ml_spawn_options options);

/* Lets every task that is ready run before the caller goes on. 0 or -ECANCELED. */
int ml_yield(struct ml_hub *hub);

/* The same, cancelled or not. */
void ml_pass(struct ml_hub *hub);

/* Leaves the running task for good without ending it: its frames are abandoned, and it goes on as a
 * call of hub->hooks.body on an empty stack, next in the queue. Its strands stay linked by
 * `resumer`, from the one that ran down to the body: the owner, who may want to know them, unlinks
 * them. */
_Noreturn void ml_task_restart(struct ml_hub *hub);

/* Ends a task that does not run without running it again: its frames are dropped. For the very end,
 * and for want of memory (hub->hooks.starve). */
void ml_task_drop(struct ml_hub *hub, struct ml_task *task);

/* Parks the running task until ml_task_wake(). Only hub/wait/wait.c calls it. */
void ml_hub_park(struct ml_hub *hub);

/* From the hub's own stack: takes the task that is to be put in place, or the first that is ready;
 * NULL: none can run. */
struct ml_task *ml_hub_take_next(struct ml_hub *hub);

/* Tasks that have ended are counted anew: garbage was collected. */
static inline void ml_tasks_forget_ended(struct ml_hub *hub)
{
    hub->tasks.ended = 0;
}

/* From the hub's own stack: puts the frames of `next` in place and switches to it until somebody
 * switches back. False: no memory to move frames. */
bool ml_hub_enter(struct ml_hub *hub, struct ml_task *next);

/* For hub/switch/strand.c and hub/switch/branch.c. Sees to it that a strand of the running task can
 * be switched to from the running stack: 0; -EAGAIN: only from the hub's own stack; -ENOMEM. */
int ml_hub_prepare_strand(struct ml_hub *hub, struct ml_strand *strand);

/* The running task goes on with `strand`, in place or to be put there by the hub; returns when the
 * running strand is switched to again. */
void ml_hub_go_on(struct ml_hub *hub, struct ml_strand *strand, bool is_in_place);

/* The running strand has ended: its task goes on with `next`. Returns, if at all, in another strand
 * that begins, to which the stack was lent. */
void ml_hub_end_strand(struct ml_hub *hub, struct ml_strand *next);

/* From now on the exception state of the C++ runtimes in the process is kept per task. To be called
 * after anything that may have loaded one; library: the file of a library that may have brought its
 * own, or NULL. */
void ml_hub_find_cxx(struct ml_hub *hub, const char *library);

#endif
