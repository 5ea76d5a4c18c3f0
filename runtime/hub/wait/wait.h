/*
 * The one wait primitive: everything that blocks a task goes through ml_wait(), with an absolute
 * deadline and under the task's cancel scopes. Knows no descriptor and no Lua.
 */
#ifndef ML_HUB_WAIT_WAIT_H
#define ML_HUB_WAIT_WAIT_H

#include "base/check.h"
#include "hub/state/hub.h"

/*
 * Parks the running task. kind: what it waits for, in words; on: number of that, for reports (0:
 * none); queue: the task stands there meanwhile, last (NULL: in none).
 *
 * - 0: woken. This is a hint only: check your own flag and wait again (then at the queue's end);
 * - -ETIMEDOUT: `deadline` has passed, or is ML_NEVER_WAIT, which neither parks nor checks scopes;
 * - -ECANCELED: a scope was cancelled, before or during the wait, and no event had woken the task;
 * - -ECHILD: this process was forked by the task;
 * - -ENOMEM: no room for the deadline, nothing done.
 */
int ml_wait(struct ml_hub *hub, const struct ml_wait_kind *kind, uint32_t on, struct ml_link *queue,
            ml_time deadline);

/*
 * The same for a wait that ends with a grant: parks until ml_waiter_grant() gives the task what it
 * waits for. value: for the owner of the queue, see struct ml_waiter. 0: it has it, and nothing
 * else was done meanwhile. Otherwise an error of ml_wait(), and it does not have it.
 */
int ml_wait_granted(struct ml_hub *hub, const struct ml_wait_kind *kind, uint32_t on,
                    struct ml_link *queue, uint16_t value, ml_time deadline);

/* 0 once `deadline` has passed, or -ECANCELED, -ENOMEM. */
int ml_sleep_until(struct ml_hub *hub, ml_time deadline);

/* That of the next function: the task waits in the joiners of the other one. */
extern const struct ml_wait_kind ml_join_kind;

/* 0 once `task` has ended, or -ETIMEDOUT, -ECANCELED, -ENOMEM. */
int ml_join(struct ml_hub *hub, struct ml_task *task, ml_time deadline);

#endif
