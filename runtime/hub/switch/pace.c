#include "hub/switch/pace.h"

/*
 * The hub polls before the next task runs when the last poll is older than POLL_INTERVAL and all
 * tasks that it woke have run, and in any case when it is older than POLL_LATEST. (A poll in
 * between would report the descriptors of those still to run once more: measured with 1,000 busy
 * connections, it doubles the kernel's part of an echo.)
 */
#define POLL_INTERVAL (ML_MILLISECOND / 2)
#define POLL_LATEST (10 * ML_MILLISECOND)

void ml_pace_init(struct ml_hub *hub)
{
    hub->pace = (struct ml_hub_pace){.budget = ML_PACE_SWITCHES, .return_at = ML_FOREVER};
}

/* Switches until the next look at the clock; with a time to return at, each looks. */
static unsigned fresh_budget(const struct ml_hub *hub)
{
    return hub->pace.return_at == ML_FOREVER ? ML_PACE_SWITCHES : 1;
}

void ml_pace_look(struct ml_hub *hub)
{
    ml_time now = ml_clock_now(), age = now - hub->pace.polled_at;
    hub->pace.budget = fresh_budget(hub);
    hub->pace.batch -= hub->pace.budget;
    if (now >= hub->pace.return_at || age >= POLL_LATEST ||
        (age >= POLL_INTERVAL && hub->pace.batch <= 0))
        hub->attention = true;
}

/* A slice may take as long as many switches. The rest of the budget is given back to the count of
 * tasks that were ready at the last poll. */
void ml_pace_look_soon(struct ml_hub *hub)
{
    hub->pace.batch += hub->pace.budget - 1;
    hub->pace.budget = 1;
}

void ml_pace_note_poll(struct ml_hub *hub, ml_time now)
{
    hub->pace.polled_at = now;
    hub->pace.budget = fresh_budget(hub);
    hub->pace.batch = hub->ready.count;
}

void ml_pace_set_return(struct ml_hub *hub, ml_time at)
{
    hub->pace.return_at = at;
    if (at != ML_FOREVER)
        hub->pace.budget = fresh_budget(hub);
}
