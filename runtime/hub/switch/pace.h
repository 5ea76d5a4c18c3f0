/*
 * How long tasks switch to each other before the hub looks at the clock, and polls or returns.
 * Knows no poll.
 */
#ifndef ML_HUB_SWITCH_PACE_H
#define ML_HUB_SWITCH_PACE_H

#include "hub/state/hub.h"

/* The clock is looked at every so many switches. */
enum { ML_PACE_SWITCHES = 64 };

/* Switches until the clock is looked at; with a time to return at, each counts. */
static inline unsigned ml_pace_fresh(const struct ml_hub *hub)
{
    return hub->return_at == ML_FOREVER ? ML_PACE_SWITCHES : 1;
}

/* hub->budget is used up: has the hub poll, or return, if it is time to. */
__attribute__((noinline)) void ml_pace_look(struct ml_hub *hub);

#endif
