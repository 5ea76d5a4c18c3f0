/*
 * What tests of concurrent programs ask of a hub: a clock that jumps instead of making people wait, a
 * moment when everybody else is parked, and a ready queue in random order that a seed reproduces.
 */
#ifndef ML_HUB_STATE_SIMULATION_H
#define ML_HUB_STATE_SIMULATION_H

#include "hub/state/hub.h"

/* The clock stands still from now on, and jumps to the next deadline whenever every task waits and no
 * descriptor is ready. False: back to the real one; deadlines set meanwhile come true early or late by as
 * much as the two clocks differ. */
void ml_simulation_set_clock(struct ml_hub *hub, bool is_virtual);

/* Waits until every other task waits and no descriptor is ready. 0 or -ECANCELED. */
int ml_wait_idle(struct ml_hub *hub);

/* From now on the next task to run is chosen at random among the ready ones (the first 64); seed 0: in
 * order again. */
void ml_simulation_set_shuffle(struct ml_hub *hub, uint64_t seed);

/* ---- for hub.c and ready.c ---- */

/* Nobody can run: polls, then wakes those who wait for that, or makes the clock jump. True: somebody can
 * run now. */
bool ml_simulation_step(struct ml_hub *hub);

/* Brings a random one of the ready tasks to the front. */
void ml_simulation_shuffle(struct ml_hub *hub);

#endif
