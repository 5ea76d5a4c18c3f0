/*
 * Clocks that take the place of the real one: for tests one that jumps, so that no sleep takes
 * time, and the host's. (Tests also use the random order of the ready queue, hub/state/ready.h, and
 * hub/on/idle.h.)
 */
#ifndef ML_HUB_LOOP_SIMULATION_H
#define ML_HUB_LOOP_SIMULATION_H

#include "base/check.h"
#include "hub/state/hub.h"

/* From now on the clock stands still, and jumps to the next deadline whenever every task waits and
 * no descriptor is ready. False: back to the real clock; deadlines set meanwhile come early or late
 * by the difference of the two clocks. */
void ml_simulation_set_clock(struct ml_hub *hub, bool is_virtual);

/* From now on tasks see the host's clock, which only goes forward and does not jump. `read` is
 * called before each poll. */
void ml_host_clock_set(struct ml_hub *hub, ml_time (*read)(struct ml_hub *hub));

/* The rest of ml_host_clock_look(), with a host's clock. */
void ml_host_clock_ask(struct ml_hub *hub);

/* Reads the host's clock, if there is one. */
static inline void ml_host_clock_look(struct ml_hub *hub)
{
    if (ml_unlikely(hub->clock.read != NULL))
        ml_host_clock_ask(hub);
}

/* To be called when no task can run: polls, then wakes the tasks that wait for idleness, or makes
 * the clock jump. True: a task can run now. */
bool ml_simulation_step(struct ml_hub *hub);

#endif
