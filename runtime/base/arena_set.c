#include "base/arena_set.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* A place is fresh, holds an address, or held one that was removed. */
enum { FRESH = 0, REMOVED = 1, LEAST_PLACES = 64 };

/* Open addressing, at most half full. A table that was outgrown is kept, since other threads may be
 * reading it. */
struct ml_arena_table {
    struct ml_arena_table *older;
    uint32_t mask;
    _Atomic uintptr_t places[];
};

static struct ml_arena_table *table_of(const struct ml_arena_set *set)
{
    return atomic_load_explicit(&set->table, memory_order_acquire);
}

static uintptr_t look(const struct ml_arena_table *table, uint32_t place)
{
    return atomic_load_explicit(&table->places[place], memory_order_acquire);
}

static uint32_t first_place(const struct ml_arena_table *table, uintptr_t address)
{
    enum { SHIFT = 21 }; /* they are aligned to 2 MiB */
    return (uint32_t)((address >> SHIFT) * 0x9E3779B1u) & table->mask;
}

/* Where the address is, or else a fresh place. */
static uint32_t find(const struct ml_arena_table *table, uintptr_t address)
{
    uint32_t place = first_place(table, address);
    uintptr_t here;
    while ((here = look(table, place)) != address && here != FRESH)
        place = (place + 1) & table->mask;
    return place;
}

/* Puts it into the first place that holds no address. Returns whether that was fresh. */
static bool put(struct ml_arena_table *table, uintptr_t address)
{
    uint32_t place = first_place(table, address);
    uintptr_t here;
    while ((here = look(table, place)) > REMOVED)
        place = (place + 1) & table->mask;
    atomic_store_explicit(&table->places[place], address, memory_order_release);
    return here == FRESH;
}

static uint32_t count_places(const struct ml_arena_table *table)
{
    return table != NULL ? table->mask + 1 : 0;
}

/* A table four times as large as the count of addresses in the old one, which it keeps. */
static int grow(struct ml_arena_set *set)
{
    struct ml_arena_table *old = table_of(set);
    uint32_t count = 0, size = LEAST_PLACES;
    for (uint32_t i = 0; i < count_places(old); i++)
        count += look(old, i) > REMOVED;
    while (size < 4 * count)
        size *= 2;
    struct ml_arena_table *table = calloc(1, sizeof *table + size * sizeof *table->places);
    if (table == NULL)
        return -ENOMEM;
    table->older = old;
    table->mask = size - 1;
    for (uint32_t i = 0; i < count_places(old); i++)
        if (look(old, i) > REMOVED)
            put(table, look(old, i));
    set->used = count;
    atomic_store_explicit(&set->table, table, memory_order_release);
    return 0;
}

int ml_arena_set_add(struct ml_arena_set *set, uintptr_t address)
{
    if (2 * (set->used + 1) > count_places(table_of(set)) && grow(set) != 0)
        return -ENOMEM;
    set->used += put(table_of(set), address);
    return 0;
}

void ml_arena_set_remove(struct ml_arena_set *set, uintptr_t address)
{
    struct ml_arena_table *table = table_of(set);
    atomic_store_explicit(&table->places[find(table, address)], REMOVED, memory_order_release);
}

bool ml_arena_set_has(const struct ml_arena_set *set, uintptr_t address)
{
    const struct ml_arena_table *table = table_of(set);
    return table != NULL && look(table, find(table, address)) == address;
}

void ml_arena_set_release(struct ml_arena_set *set)
{
    struct ml_arena_table *table = table_of(set);
    while (table != NULL) {
        struct ml_arena_table *older = table->older;
        free(table);
        table = older;
    }
    *set = (struct ml_arena_set){.used = 0};
}
