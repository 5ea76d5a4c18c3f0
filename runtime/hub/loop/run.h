/*
 * The loop around the switch: runs tasks that are ready, polls when it is time to or when nobody
 * can run, and tells a deadlock from a wait.
 */
#ifndef ML_HUB_LOOP_RUN_H
#define ML_HUB_LOOP_RUN_H

#include "hub/state/hub.h"

/* What ml_hub_run() runs for. */
enum ml_hub_goal { ML_UNTIL_FOREGROUND_ENDED, ML_UNTIL_ALL_ENDED };

/*
 * Runs tasks until the goal is reached. 0; -ETIMEDOUT: `deadline` has passed; -EDEADLK: tasks are
 * left, all wait, and nothing can ever wake one; -EINTR: ml_hub_stop() was called; -ECHILD: this is
 * a process forked by a task, which has ended.
 */
int ml_hub_run(struct ml_hub *hub, enum ml_hub_goal goal, ml_time deadline);

/*
 * Polls once, waiting for `max_wait` at most if nobody can run, and then runs those that can until
 * all wait or `max_run` is over, which is looked at between two tasks. (ML_FOREVER: no limit.) 1:
 * tasks that are no daemons are left; 0: none; -EINTR: ml_hub_stop() was called; -ECHILD as above.
 */
int ml_hub_step(struct ml_hub *hub, ml_time max_wait, ml_time max_run);

/* Makes ml_hub_run() and ml_hub_step() return before the next task runs. */
static inline void ml_hub_stop(struct ml_hub *hub)
{
    hub->run.stop = true;
    hub->attention = true;
}

/* Makes the hub run before the next task and call `noticed`, from any thread or signal handler. */
void ml_hub_notify(struct ml_hub *hub);

/*
 * A descriptor that is readable when ml_hub_step() has something to do: a descriptor that a task
 * waits for is ready, a deadline has passed, a task can run, somebody called ml_hub_notify(). The
 * hub's; kept up to date by ml_hub_step() and ml_hub_refresh() from now on. -1 with errno set.
 */
int ml_hub_descriptor(struct ml_hub *hub);

/* After something was done to tasks outside of ml_hub_run() and ml_hub_step(): brings the
 * descriptor up to date. */
void ml_hub_refresh(struct ml_hub *hub);

#endif
