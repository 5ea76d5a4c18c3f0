/*
 * The one wait primitive: everything that blocks a task goes through ml_wait(), with an absolute
 * deadline and under the task's cancel scopes. Knows no descriptor and no Lua.
 */
#ifndef ML_HUB_WAIT_WAIT_H
#define ML_HUB_WAIT_WAIT_H

#include "base/check.h"
#include "hub/state/hub.h"

/*
 * Parks the running task. kind: what for, in words; on: number of what is waited for, shown to
 * people (0: none); queue: the task stands there meanwhile, last (NULL: nowhere).
 * 0: woken, which is a hint only: look at your own flag and wait again (then at the queue's end);
 * -ETIMEDOUT: `deadline` has passed, or is ML_NEVER_WAIT, which neither parks nor looks at scopes;
 * -ECANCELED: a scope was cancelled, before or during the wait, and nobody had woken the task;
 * -ECHILD: this process was forked by the task; -ENOMEM: no room for the deadline, nothing done.
 */
int ml_wait(struct ml_hub *hub, const struct ml_wait_kind *kind, uint32_t on, struct ml_link *queue,
            ml_time deadline);

/*
 * The same for a wait that ends with a gift: parks until somebody grants it what it waits for with
 * ml_waiter_grant(). 0: it has it, and nothing else was done meanwhile; otherwise an error of
 * ml_wait(), and it has not. value: for the owner of the queue, see struct ml_waiter.
 */
int ml_wait_granted(struct ml_hub *hub, const struct ml_wait_kind *kind, uint32_t on,
                    struct ml_link *queue, uint16_t value, ml_time deadline);

/* 0 once `deadline` has passed, or -ECANCELED, -ENOMEM. */
int ml_sleep_until(struct ml_hub *hub, ml_time deadline);

/* 0 once `task` has ended, or -ETIMEDOUT, -ECANCELED, -ENOMEM. */
int ml_join(struct ml_hub *hub, struct ml_task *task, ml_time deadline);

#endif
