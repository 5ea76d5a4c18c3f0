#include "bindings/inspect/collector_clock.h"

/* Only in programs whose calls of the collector are measured. */
extern const char ml_collector_has_clock __attribute__((weak));

bool ml_collector_watch(struct ml_lua *lua)
{
    if (&ml_collector_has_clock != NULL)
        lua->collector.is_on = true;
    return lua->collector.is_on;
}

struct ml_collector_clock *ml_collector_begin(void)
{
    struct ml_bank *bank = ml_bank_current;
    if (bank == NULL)
        return NULL;
    struct ml_hub *hub = ml_container_of(bank, struct ml_hub, bank);
    struct ml_collector_clock *clock = &ml_container_of(hub, struct ml_lua, hub)->collector;
    if (!clock->is_on || clock->began != 0)
        return NULL;
    clock->began = ml_clock_now();
    return clock;
}

void ml_collector_end(struct ml_collector_clock *clock)
{
    if (clock == NULL)
        return;
    clock->spent += ml_clock_now() - clock->began;
    clock->began = 0;
}
