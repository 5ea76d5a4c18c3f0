#include "hub/loop/simulation.h"

#include "hub/loop/look.h"
#include "hub/state/deadlines.h"
#include "hub/state/waiters.h"

void ml_simulation_set_clock(struct ml_hub *hub, bool is_virtual)
{
    hub->virtual_now = is_virtual ? ml_hub_now(hub) : 0;
}

static bool somebody_can_run(const struct ml_hub *hub)
{
    return !ml_list_is_empty(&hub->ready);
}

bool ml_simulation_step(struct ml_hub *hub)
{
    ml_look_until(hub, ML_NEVER_WAIT);
    if (!somebody_can_run(hub) && !ml_wake_first(hub, &hub->idlers) && hub->virtual_now != 0) {
        ml_time nearest = ml_deadlines_nearest(hub);
        if (nearest != ML_FOREVER) {
            if (nearest > hub->virtual_now)
                hub->virtual_now = nearest;
            ml_look_until(hub, ML_NEVER_WAIT);
        }
    }
    return somebody_can_run(hub);
}
