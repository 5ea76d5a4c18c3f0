/*
 * How long tasks switch to each other before the hub looks at the clock, and polls or returns.
 * Knows no poll.
 */
#ifndef ML_HUB_SWITCH_PACE_H
#define ML_HUB_SWITCH_PACE_H

#include "base/check.h"
#include "hub/state/hub.h"

/* The clock is looked at every so many switches. */
enum { ML_PACE_SWITCHES = 64 };

void ml_pace_init(struct ml_hub *hub);

/* To be called when the budget of switches is used up: has the hub poll, or return, if it is time
 * to. */
__attribute__((noinline)) void ml_pace_look(struct ml_hub *hub);

/* Counts a switch. */
static inline void ml_pace_count(struct ml_hub *hub)
{
    if (ml_unlikely(--hub->pace.budget == 0))
        ml_pace_look(hub);
}

/* Makes the next switch look at the clock. */
void ml_pace_look_soon(struct ml_hub *hub);

/* To be called after a poll, at `now` by the real clock, and after the due tasks were woken. */
void ml_pace_note_poll(struct ml_hub *hub, ml_time now);

/* From now on the hub returns when the clock shows `at`, and each switch looks at it; ML_FOREVER:
 * never, as after ml_pace_init(). */
void ml_pace_set_return(struct ml_hub *hub, ml_time at);

#endif
