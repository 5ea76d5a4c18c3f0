#include "coro/reserve.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { BITS = 64 };

struct ml_reserve_region {
    struct ml_reserve_region *next;
    char *memory; /* PROT_NONE before the first block is taken */
    size_t units;
    size_t blocks;    /* in use */
    size_t turn;      /* word of `taken` where the next search begins */
    bool is_open;     /* the memory may be touched */
    uint64_t taken[]; /* bit i: unit i is in use */
};

/* ---- regions ---- */

static struct ml_reserve_region *map_region(size_t units)
{
    char *memory = mmap(NULL, units * ML_RESERVE_UNIT, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    struct ml_reserve_region *region =
        calloc(1, sizeof *region + units / BITS * sizeof *region->taken);
    if (region == NULL) {
        munmap(memory, units * ML_RESERVE_UNIT);
        return NULL;
    }
    region->units = units;
    region->memory = memory;
    return region;
}

int ml_reserve_grow(struct ml_reserve *reserve, size_t units)
{
    if (units <= reserve->units)
        return 0;
    struct ml_reserve_region *region =
        map_region((units - reserve->units + BITS - 1) / BITS * BITS);
    if (region == NULL)
        return -ENOMEM;
    region->next = reserve->regions;
    reserve->regions = region;
    reserve->units += region->units;
    return 0;
}

/* Whole words of units at the end of a region that are not in use. */
static size_t count_idle(const struct ml_reserve_region *region)
{
    size_t words = region->units / BITS;
    while (words > 0 && region->taken[words - 1] == 0)
        words--;
    return region->units - words * BITS;
}

static void cut(struct ml_reserve *reserve, struct ml_reserve_region *region, size_t units)
{
    region->units -= units;
    region->turn = 0;
    reserve->units -= units;
    munmap(region->memory + region->units * ML_RESERVE_UNIT, units * ML_RESERVE_UNIT);
}

void ml_reserve_shrink(struct ml_reserve *reserve, size_t units)
{
    struct ml_reserve_region *region;
    while ((region = reserve->regions) != NULL && reserve->units > units) {
        size_t idle = count_idle(region);
        size_t most = (reserve->units - units) / BITS * BITS;
        size_t less = idle < most ? idle : most;
        if (less == 0)
            return;
        cut(reserve, region, less);
        if (region->units > 0)
            return;
        reserve->regions = region->next;
        free(region);
    }
}

void ml_reserve_release(struct ml_reserve *reserve)
{
    struct ml_reserve_region *region;
    while ((region = reserve->regions) != NULL) {
        reserve->regions = region->next;
        munmap(region->memory, region->units * ML_RESERVE_UNIT);
        free(region);
    }
    *reserve = (struct ml_reserve){0};
}

/* ---- blocks ---- */

static size_t units_of(size_t size)
{
    return (size + ML_RESERVE_UNIT - 1) / ML_RESERVE_UNIT;
}

static bool is_taken(const struct ml_reserve_region *region, size_t unit)
{
    return (region->taken[unit / BITS] >> unit % BITS & 1) != 0;
}

static void mark(struct ml_reserve_region *region, size_t first, size_t count, bool taken)
{
    for (size_t unit = first; unit < first + count; unit++) {
        uint64_t bit = (uint64_t)1 << unit % BITS;
        uint64_t *word = &region->taken[unit / BITS];
        *word = taken ? *word | bit : *word & ~bit;
    }
}

/* The first of `count` free units in a row, from that word on; region->units: there is no such row.
 */
static size_t find_from(const struct ml_reserve_region *region, size_t word, size_t count)
{
    size_t run = 0;
    for (size_t unit = word * BITS; unit < region->units; unit++) {
        if (unit % BITS == 0 && region->taken[unit / BITS] == UINT64_MAX) {
            run = 0;
            unit += BITS - 1;
            continue;
        }
        run = is_taken(region, unit) ? 0 : run + 1;
        if (run == count)
            return unit + 1 - count;
    }
    return region->units;
}

static bool open_region(struct ml_reserve_region *region)
{
    if (!region->is_open)
        region->is_open =
            mprotect(region->memory, region->units * ML_RESERVE_UNIT, PROT_READ | PROT_WRITE) == 0;
    return region->is_open;
}

static void *take_from(struct ml_reserve_region *region, size_t count)
{
    size_t first = find_from(region, region->turn, count);
    if (first == region->units)
        first = find_from(region, 0, count);
    if (first == region->units || !open_region(region))
        return NULL;
    mark(region, first, count, true);
    region->turn = first / BITS;
    region->blocks++;
    return region->memory + first * ML_RESERVE_UNIT;
}

void *ml_reserve_take(struct ml_reserve *reserve, size_t size)
{
    void *block = NULL;
    for (struct ml_reserve_region *region = reserve->regions; region != NULL && block == NULL;
         region = region->next)
        block = take_from(region, units_of(size));
    reserve->blocks += block != NULL;
    return block;
}

static bool has(const struct ml_reserve_region *region, const void *block)
{
    return (uintptr_t)block - (uintptr_t)region->memory < region->units * ML_RESERVE_UNIT;
}

bool ml_reserve_give_back(struct ml_reserve *reserve, void *block, size_t size)
{
    struct ml_reserve_region *region = reserve->regions;
    while (region != NULL && !has(region, block))
        region = region->next;
    if (region == NULL)
        return false;
    size_t first = (size_t)((char *)block - region->memory) / ML_RESERVE_UNIT;
    mark(region, first, units_of(size), false);
    region->blocks--;
    reserve->blocks--;
    return true;
}
