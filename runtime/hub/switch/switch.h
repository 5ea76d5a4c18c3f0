/*
 * The switch from task to task and from strand to strand, and the birth and end of tasks. Knows no
 * descriptor, no reason to wait, and no clock but the one that makes the hub poll.
 */
#ifndef ML_HUB_SWITCH_SWITCH_H
#define ML_HUB_SWITCH_SWITCH_H

#include "hub/state/hub.h"

struct ml_spawn_options {
    bool is_daemon;
    bool private_stack;
};

/*
 * Makes `task` ready to run hub->hooks.body, at the end of the queue, on the strand `body`, which
 * is unbound. The memory is the caller's, zeroed, and stays until the task has ended. 0, or -ENOMEM
 * with nothing done.
 */
int ml_task_spawn(struct ml_hub *hub, struct ml_task *task, struct ml_strand *body,
                  struct ml_spawn_options options);

/* Lets every task that is ready run before the caller goes on. 0 or -ECANCELED. */
int ml_yield(struct ml_hub *hub);

/* The same, whether the task is cancelled or not. */
void ml_pass(struct ml_hub *hub);

/* The same for a task that has computed for long: the hub polls, and tasks that an event wakes come
 * first. No cancellation point. */
void ml_give_way(struct ml_hub *hub);

/* Abandons the frames of the running task without ending it: it goes on as a call of
 * hub->hooks.body on an empty stack, next in the queue. Its strands stay linked by `resumer`, from
 * the one that ran down to the body; the owner unlinks them when it is done with them. */
_Noreturn void ml_task_restart(struct ml_hub *hub);

/* Ends a task that does not run without running it again: its frames are dropped. For the end of
 * the program, and for want of memory (hub->hooks.starve). */
void ml_task_drop(struct ml_hub *hub, struct ml_task *task);

/* Parks the running task until ml_task_wake(). Only hub/wait/wait.c calls it. */
void ml_hub_park(struct ml_hub *hub);

/* From the hub's own stack: takes the task that is to be put in place, or the first that is ready;
 * NULL: none can run. */
struct ml_task *ml_hub_take_next(struct ml_hub *hub);

/* Restarts the count of ended tasks: garbage was collected. */
static inline void ml_tasks_forget_ended(struct ml_hub *hub)
{
    hub->tasks.ended = 0;
}

/* From the hub's own stack: puts the frames of `next` in place and switches to it, until a switch
 * back. False: no memory to move frames. */
bool ml_hub_enter(struct ml_hub *hub, struct ml_task *next);

/* For hub/switch/chain.c and hub/switch/branch.c. Prepares a strand of the running task for a
 * switch from the running stack. 0; -EAGAIN: that is possible only from the hub's own stack;
 * -ENOMEM. */
int ml_hub_prepare_strand(struct ml_hub *hub, struct ml_strand *strand);

/* The running task goes on with `strand`, which is in place or will be put there by the hub.
 * Returns at a switch back to the running strand. */
void ml_hub_go_on(struct ml_hub *hub, struct ml_strand *strand, bool is_in_place);

/* The running strand has ended: its task goes on with `next`. Returns, if at all, in another strand
 * that begins on this stack. */
void ml_hub_end_strand(struct ml_hub *hub, struct ml_strand *next);

/* From now on the exception state of the C++ runtimes in the process is kept per task. To be called
 * after anything that may have loaded one. library: the file of a library that may have brought its
 * own, or NULL. */
void ml_hub_find_cxx(struct ml_hub *hub, const char *library);

#endif
