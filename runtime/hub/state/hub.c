#include "hub/state/hub.h"

#include <stddef.h>

struct ml_task *ml_hub_next_task(const struct ml_hub *hub, uint32_t *slot)
{
    struct ml_task *task = NULL;
    while (task == NULL && *slot < hub->slots.count)
        task = ml_slots_task(&hub->slots, (*slot)++);
    return task;
}
