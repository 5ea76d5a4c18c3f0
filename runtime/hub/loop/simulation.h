/*
 * What tests of concurrent programs ask of the loop: a clock that jumps instead of making people
 * wait. (The random order of the ready queue is hub/state/ready.h's, the moment when everybody else
 * is parked hub/on/idle.h's.)
 */
#ifndef ML_HUB_LOOP_SIMULATION_H
#define ML_HUB_LOOP_SIMULATION_H

#include "base/check.h"
#include "hub/state/hub.h"

/* The clock stands still from now on, and jumps to the next deadline whenever every task waits and
 * no descriptor is ready. False: back to the real one; deadlines set meanwhile come true early or
 * late by as much as the two clocks differ. */
void ml_simulation_set_clock(struct ml_hub *hub, bool is_virtual);

/* The clock that tasks see is the host's from now on, which does not jump: `read` is asked each
 * time the hub looks around. It only goes forward. */
void ml_host_clock_set(struct ml_hub *hub, ml_time (*read)(struct ml_hub *hub));

/* The rest of ml_host_clock_look(): there is one. */
void ml_host_clock_ask(struct ml_hub *hub);

/* Asks the host's clock, if there is one. */
static inline void ml_host_clock_look(struct ml_hub *hub)
{
    if (ml_unlikely(hub->clock.read != NULL))
        ml_host_clock_ask(hub);
}

/* Nobody can run: polls, then wakes those who wait for that, or makes the clock jump. True:
 * somebody can run now. */
bool ml_simulation_step(struct ml_hub *hub);

#endif
