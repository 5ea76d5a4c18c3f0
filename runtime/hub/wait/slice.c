#include "hub/wait/slice.h"

#include "hub/switch/pace.h"
#include "hub/switch/switch.h"

int ml_slice_end(struct ml_hub *hub)
{
    ml_pace_look_soon(hub);
    return ml_yield(hub);
}

void ml_slice_refused(struct ml_hub *hub)
{
    ml_slice_spend(hub, ML_SLICE_CALL);
    if (!ml_slice_is_over(hub) || hub->life.is_forked)
        return;
    ml_pace_look_soon(hub);
    ml_pass(hub);
}
