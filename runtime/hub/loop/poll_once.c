#include "hub/loop/poll_once.h"

#include "hub/loop/poller.h"
#include "hub/state/deadlines.h"
#include "hub/state/ready.h"
#include "hub/switch/pace.h"

/* How long a poll may wait, in real time. While the clock is virtual, sleeps take none; a host's
 * clock is assumed to run as fast as the real one. */
static ml_time patience(const struct ml_hub *hub, ml_time deadline)
{
    deadline = ml_time_earlier(deadline, ml_deadlines_nearest(hub));
    if (deadline == ML_FOREVER || deadline == ML_NEVER_WAIT)
        return deadline;
    ml_time span = deadline - ml_hub_now(hub);
    return span > 0 && (hub->clock.virtual_now == 0 || hub->clock.is_host) ? span : 0;
}

void ml_look_for(struct ml_hub *hub, ml_time span)
{
    atomic_store_explicit(&hub->attention, false, memory_order_relaxed);
    ml_ready_expect_poll(hub);
    bool noticed = ml_poller_poll(hub->poller, span);
    ml_time now = ml_clock_now();
    ml_deadlines_wake_due(hub, hub->clock.virtual_now == 0 ? now : hub->clock.virtual_now);
    ml_pace_note_poll(hub, now);
    if (noticed && hub->hooks.noticed != NULL)
        hub->hooks.noticed(hub);
    if (noticed && hub->mail.deliver != NULL)
        hub->mail.deliver(hub);
    ml_ready_note_poll(hub);
}

void ml_look_until(struct ml_hub *hub, ml_time deadline)
{
    ml_look_for(hub, patience(hub, deadline));
}
