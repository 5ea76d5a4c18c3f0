/*
 * One poll: calls back for descriptors that are ready, and wakes tasks whose deadline has passed.
 * Switches to no task.
 */
#ifndef ML_HUB_LOOP_POLL_ONCE_H
#define ML_HUB_LOOP_POLL_ONCE_H

#include "hub/state/hub.h"

/* Polls; waits for an event, but not beyond `deadline` or the nearest deadline of a task. On the
 * hub's own stack. */
void ml_look_until(struct ml_hub *hub, ml_time deadline);

/* The same, waits for `span` of real time at most, whatever the deadlines of tasks are. */
void ml_look_for(struct ml_hub *hub, ml_time span);

#endif
