#include "hub/loop/look.h"

#include "hub/loop/poller.h"
#include "hub/state/deadlines.h"
#include "hub/switch/pace.h"

/* How long a poll may wait, real time: while the clock is virtual, sleeps take none; a host's clock
 * is taken to go as fast as the real one. */
static ml_time patience(const struct ml_hub *hub, ml_time deadline)
{
    deadline = ml_time_earlier(deadline, ml_deadlines_nearest(hub));
    if (deadline == ML_FOREVER || deadline == ML_NEVER_WAIT)
        return deadline;
    ml_time span = deadline - ml_hub_now(hub);
    return span > 0 && (hub->virtual_now == 0 || hub->is_host_clock) ? span : 0;
}

void ml_look_until(struct ml_hub *hub, ml_time deadline)
{
    atomic_store_explicit(&hub->attention, false, memory_order_relaxed);
    bool noticed = ml_poller_poll(hub->poller, patience(hub, deadline));
    hub->polled_at = ml_clock_now();
    hub->budget = ml_pace_fresh(hub);
    ml_deadlines_wake_due(hub, hub->virtual_now == 0 ? hub->polled_at : hub->virtual_now);
    hub->batch = hub->ready_count;
    if (noticed && hub->noticed != NULL)
        hub->noticed(hub);
}
