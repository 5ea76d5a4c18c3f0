#include "hub/wait/slice.h"

#include "hub/switch/switch.h"

/* A slice may be as long as many switches: the next one is to look at the clock. What was left
 * until then is given back to the count of those that were ready at the last poll. */
static void look_soon(struct ml_hub *hub)
{
    hub->batch += hub->budget - 1;
    hub->budget = 1;
}

int ml_slice_end(struct ml_hub *hub)
{
    look_soon(hub);
    return ml_yield(hub);
}

void ml_slice_refused(struct ml_hub *hub)
{
    ml_slice_spend(hub, ML_SLICE_CALL);
    if (!ml_slice_is_over(hub) || hub->is_forked)
        return;
    look_soon(hub);
    ml_pass(hub);
}
