/*
 * One look around: the descriptors that are ready are called back, and tasks whose deadline has
 * passed are woken. Switches to no task.
 */
#ifndef ML_HUB_LOOP_LOOK_H
#define ML_HUB_LOOP_LOOK_H

#include "hub/state/hub.h"

/* Looks around; waits until something happens, but not beyond `deadline` or the nearest deadline of
 * a task. On the hub's own stack. */
void ml_look_until(struct ml_hub *hub, ml_time deadline);

#endif
