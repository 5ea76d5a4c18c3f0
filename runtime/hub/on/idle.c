#include "hub/on/idle.h"

static const struct ml_wait_kind idle_kind = {.text = "everybody else to wait", .external = true};

int ml_wait_idle(struct ml_hub *hub)
{
    return ml_wait_granted(hub, &idle_kind, 0, &hub->idle.tasks, 0, ML_FOREVER);
}
