#include "hub/slice.h"

/* The clock is looked at now: a slice may be as long as many switches. What was left until then is given back to the
 * count of those that were ready at the last poll. */
int ml_slice_end(struct ml_hub *hub)
{
    hub->batch += hub->budget - 1;
    hub->budget = 1;
    return ml_yield(hub);
}
