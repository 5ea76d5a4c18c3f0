/*
 * The loop around the switch: runs tasks that are ready, polls when it is time to or when no task
 * can run, and detects deadlocks.
 */
#ifndef ML_HUB_LOOP_RUN_H
#define ML_HUB_LOOP_RUN_H

#include "hub/state/hub.h"

/* The goals of ml_hub_run(). */
enum ml_hub_goal { ML_UNTIL_FOREGROUND_ENDED, ML_UNTIL_ALL_ENDED };

/*
 * Runs tasks until the goal is reached.
 *
 * - 0: it is;
 * - -ETIMEDOUT: `deadline` has passed;
 * - -EDEADLK: tasks are left, all wait, and no event can ever wake one;
 * - -EINTR: ml_hub_stop() was called;
 * - -ECHILD: this process was forked by a task, which has ended.
 */
int ml_hub_run(struct ml_hub *hub, enum ml_hub_goal goal, ml_time deadline);

/*
 * Polls once, waiting for `max_wait` at most if no task can run, and then runs tasks until all wait
 * or `max_run` is over. That is checked between two tasks; ML_FOREVER: no limit.
 *
 * - 1: tasks that are no daemons are left;
 * - 0: none is;
 * - -EINTR: ml_hub_stop() was called;
 * - -ECHILD as above.
 */
int ml_hub_step(struct ml_hub *hub, ml_time max_wait, ml_time max_run);

/* Makes ml_hub_run() and ml_hub_step() return before the next task runs. */
static inline void ml_hub_stop(struct ml_hub *hub)
{
    hub->run.stop = true;
    hub->attention = true;
}

/* Makes the hub run before the next task and call hooks.noticed. From any thread or signal handler.
 */
void ml_hub_notify(struct ml_hub *hub);

/*
 * A descriptor, the hub's, that is readable when ml_hub_step() has something to do: a descriptor
 * that a task waits for is ready, a deadline has passed, a task can run, ml_hub_notify() was
 * called. From now on ml_hub_step() and ml_hub_refresh() keep it up to date. -1 with errno set.
 */
int ml_hub_descriptor(struct ml_hub *hub);

/* Brings the descriptor up to date, after tasks were changed outside of ml_hub_run() and
 * ml_hub_step(). */
void ml_hub_refresh(struct ml_hub *hub);

#endif
