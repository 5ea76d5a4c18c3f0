/*
 * The deadlines of waiting tasks, in a four-way heap of plain entries. A task leaves its entry
 * behind when it wakes early and uses it again for its next wait, so a deadline per call costs a
 * heap operation only once per period. Knows slots and generations, not tasks.
 */
#ifndef ML_HUB_STATE_TIMERS_H
#define ML_HUB_STATE_TIMERS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ml_timer_entry {
    ml_time at;
    uint32_t slot;
    uint32_t generation;
};

struct ml_timers {
    struct ml_timer_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t stale; /* entries whose task has ended or holds a newer one */
};

/* 0 or -ENOMEM. */
int ml_timers_add(struct ml_timers *timers, struct ml_timer_entry entry);

/* The earliest entry, NULL when there is none. Valid until the next call. */
static inline const struct ml_timer_entry *ml_timers_first(const struct ml_timers *timers)
{
    return timers->count > 0 ? &timers->entries[0] : NULL;
}

/* Removes the earliest entry; there is one. */
void ml_timers_pop(struct ml_timers *timers);

/* Keeps the entries for which keep(context, entry) is true and forgets the others. */
void ml_timers_sweep(struct ml_timers *timers,
                     bool (*keep)(void *context, const struct ml_timer_entry *entry),
                     void *context);

void ml_timers_release(struct ml_timers *timers);

#endif
