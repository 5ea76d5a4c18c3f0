#include "hub/loop/simulation.h"

#include "hub/loop/poll_once.h"
#include "hub/state/deadlines.h"
#include "hub/state/waiters.h"

void ml_simulation_set_clock(struct ml_hub *hub, bool is_virtual)
{
    hub->clock.virtual_now = is_virtual ? ml_hub_now(hub) : 0;
}

void ml_host_clock_ask(struct ml_hub *hub)
{
    ml_time now = hub->clock.read(hub);
    if (now > hub->clock.virtual_now && now < ML_FOREVER)
        hub->clock.virtual_now = now;
}

void ml_host_clock_set(struct ml_hub *hub, ml_time (*read)(struct ml_hub *hub))
{
    hub->clock = (struct ml_hub_clock){.virtual_now = 1, .is_host = true, .read = read};
    ml_host_clock_ask(hub);
}

static bool somebody_can_run(const struct ml_hub *hub)
{
    return !ml_list_is_empty(&hub->ready.queue);
}

bool ml_simulation_step(struct ml_hub *hub)
{
    ml_look_until(hub, ML_NEVER_WAIT);
    if (!somebody_can_run(hub) && !ml_wake_first(hub, &hub->idle.tasks) &&
        hub->clock.virtual_now != 0) {
        ml_time nearest = ml_deadlines_nearest(hub);
        if (nearest != ML_FOREVER) {
            if (nearest > hub->clock.virtual_now)
                hub->clock.virtual_now = nearest;
            ml_look_until(hub, ML_NEVER_WAIT);
        }
    }
    return somebody_can_run(hub);
}
