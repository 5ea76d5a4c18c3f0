/*
 * Between hub/switch/switch.c, which switches, and hub/loop/run.c, the loop around it that polls: for these two alone.
 */
#ifndef ML_HUB_LOOP_RUN_H
#define ML_HUB_LOOP_RUN_H

#include "hub/state/hub.h"

/* The clock is looked at every so many switches. */
enum { ML_SWITCHES_PER_LOOK = 64 };

/* hub->budget is used up: has the hub poll, or return, if it is time to. */
__attribute__((noinline)) void ml_hub_look_at_clock(struct ml_hub *hub);

/* From the hub's own stack: puts the frames of `next` in place and switches to it until somebody switches back. False:
 * no memory to move frames. */
bool ml_hub_enter(struct ml_hub *hub, struct ml_task *next);

#endif
