/* The moment when every other task waits and no descriptor is ready: for tests of concurrent
 * programs. */
#ifndef ML_HUB_ON_IDLE_H
#define ML_HUB_ON_IDLE_H

#include "hub/wait/wait.h"

/* Waits until every other task waits and no descriptor is ready. 0 or -ECANCELED. */
int ml_wait_idle(struct ml_hub *hub);

#endif
