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

/* A job of a worker takes no time by a clock that jumps, unless it takes longer than that. */
#define JOB_PATIENCE (500 * ML_MILLISECOND)

static void await_workers(struct ml_hub *hub)
{
    ml_time until = ml_time_after(ml_clock_now(), JOB_PATIENCE), left = JOB_PATIENCE;
    while (left > 0 && hub->offload.awaited > 0 && !somebody_can_run(hub)) {
        ml_look_for(hub, left);
        left = until - ml_clock_now();
    }
}

bool ml_simulation_step(struct ml_hub *hub)
{
    ml_look_until(hub, ML_NEVER_WAIT);
    if (hub->clock.virtual_now != 0 && !hub->clock.is_host)
        await_workers(hub);
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
