#include "hub/switch/pace.h"

/*
 * The loop is polled before the next task runs when the last poll is older than POLL_INTERVAL and
 * all it woke have run, and in any case when it is older than POLL_LATEST. (A poll in between
 * reports the descriptors of those still to run once more: measured with 1,000 busy connections, it
 * doubles the kernel's part of an echo.)
 */
#define POLL_INTERVAL (ML_MILLISECOND / 2)
#define POLL_LATEST (10 * ML_MILLISECOND)

void ml_pace_look(struct ml_hub *hub)
{
    ml_time now = ml_clock_now(), age = now - hub->polled_at;
    hub->budget = ml_pace_fresh(hub);
    hub->batch -= hub->budget;
    if (now >= hub->return_at || age >= POLL_LATEST || (age >= POLL_INTERVAL && hub->batch <= 0))
        hub->attention = true;
}
