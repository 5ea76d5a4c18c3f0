#include "hub/state/simulation.h"

#include "hub/state/deadlines.h"
#include "hub/wait/wait.h"

static const struct ml_wait_kind idle_kind = {.text = "everybody else to wait", .external = true};

/* How far from the front of the ready queue a task may be chosen. */
enum { SHUFFLED = 64 };

void ml_simulation_set_clock(struct ml_hub *hub, bool is_virtual)
{
    hub->virtual_now = is_virtual ? ml_hub_now(hub) : 0;
}

void ml_simulation_set_shuffle(struct ml_hub *hub, uint64_t seed)
{
    hub->shuffle_state = seed != 0 ? seed * 0x9E3779B97F4A7C15u | 1 : 0;
    hub->spurious = false; /* what the hostile build adds is the same each time, too */
}

int ml_wait_idle(struct ml_hub *hub)
{
    return ml_wait_granted(hub, &idle_kind, 0, &hub->idlers, 0, ML_FOREVER);
}

static bool somebody_can_run(const struct ml_hub *hub)
{
    return !ml_list_is_empty(&hub->ready);
}

bool ml_simulation_step(struct ml_hub *hub)
{
    ml_hub_poll(hub);
    if (!somebody_can_run(hub) && !ml_wake_first(hub, &hub->idlers) && hub->virtual_now != 0) {
        ml_time nearest = ml_deadlines_nearest(hub);
        if (nearest != ML_FOREVER) {
            if (nearest > hub->virtual_now)
                hub->virtual_now = nearest;
            ml_hub_poll(hub);
        }
    }
    return somebody_can_run(hub);
}

/* George Marsaglia, "Xorshift RNGs", 2003. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void ml_simulation_shuffle(struct ml_hub *hub)
{
    uint32_t count = hub->ready_count < SHUFFLED ? hub->ready_count : SHUFFLED;
    uint32_t steps = (uint32_t)(next_random(&hub->shuffle_state) % count);
    struct ml_link *chosen = hub->ready.next;
    while (steps-- > 0)
        chosen = chosen->next;
    if (chosen == hub->ready.next)
        return;
    ml_list_remove(chosen);
    ml_list_insert(hub->ready.next, chosen);
}
