#include "hub/state/timers.h"

#include <errno.h>
#include <stdlib.h>

enum { WAYS = 4, FIRST_CAPACITY = 64 };

static int grow(struct ml_timers *timers)
{
    enum { MOST = 1u << 29 }; /* the number of an entry times WAYS does not wrap */
    size_t size;
    uint32_t capacity = timers->capacity > 0 ? timers->capacity * 2 : FIRST_CAPACITY;
    if (capacity > MOST || __builtin_mul_overflow(capacity, sizeof *timers->entries, &size))
        return -ENOMEM;
    struct ml_timer_entry *entries = realloc(timers->entries, size);
    if (entries == NULL)
        return -ENOMEM;
    timers->entries = entries;
    timers->capacity = capacity;
    return 0;
}

static void sift_up(struct ml_timers *timers, uint32_t hole, struct ml_timer_entry entry)
{
    struct ml_timer_entry *entries = timers->entries;
    while (hole > 0 && entries[(hole - 1) / WAYS].at > entry.at) {
        entries[hole] = entries[(hole - 1) / WAYS];
        hole = (hole - 1) / WAYS;
    }
    entries[hole] = entry;
}

static uint32_t earliest_child(const struct ml_timers *timers, uint32_t first)
{
    uint32_t end = first + WAYS < timers->count ? first + WAYS : timers->count;
    uint32_t best = first;
    for (uint32_t child = first + 1; child < end; child++)
        if (timers->entries[child].at < timers->entries[best].at)
            best = child;
    return best;
}

static void sift_down(struct ml_timers *timers, uint32_t hole, struct ml_timer_entry entry)
{
    for (uint32_t first = hole * WAYS + 1; first < timers->count; first = hole * WAYS + 1) {
        uint32_t child = earliest_child(timers, first);
        if (timers->entries[child].at >= entry.at)
            break;
        timers->entries[hole] = timers->entries[child];
        hole = child;
    }
    timers->entries[hole] = entry;
}

int ml_timers_add(struct ml_timers *timers, struct ml_timer_entry entry)
{
    if (timers->count == timers->capacity && grow(timers) != 0)
        return -ENOMEM;
    sift_up(timers, timers->count++, entry);
    return 0;
}

void ml_timers_pop(struct ml_timers *timers)
{
    struct ml_timer_entry last = timers->entries[--timers->count];
    if (timers->count > 0)
        sift_down(timers, 0, last);
}

void ml_timers_sweep(struct ml_timers *timers,
                     bool (*keep)(void *context, const struct ml_timer_entry *entry), void *context)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < timers->count; i++)
        if (keep(context, &timers->entries[i]))
            timers->entries[kept++] = timers->entries[i];
    timers->count = kept;
    timers->stale = 0;
    for (uint32_t i = kept / WAYS + 1; i-- > 0;)
        if (i < kept)
            sift_down(timers, i, timers->entries[i]);
}

void ml_timers_release(struct ml_timers *timers)
{
    free(timers->entries);
    *timers = (struct ml_timers){0};
}
