#include "common/histogram.h"

#include <stddef.h>

static size_t slot_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return value;
    int shift = 63 - __builtin_clzll(value) - 6;
    return (size_t)(shift + 1) * HISTOGRAM_STEPS + ((value >> shift) & (HISTOGRAM_STEPS - 1));
}

static uint64_t value_of(size_t slot)
{
    if (slot < HISTOGRAM_STEPS)
        return slot;
    return (uint64_t)(HISTOGRAM_STEPS + slot % HISTOGRAM_STEPS) << (slot / HISTOGRAM_STEPS - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[slot_of(value)]++;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t histogram_percentile(const struct histogram *histogram, double part)
{
    uint64_t total = 0, seen = 0;
    size_t slots = sizeof histogram->counts / sizeof *histogram->counts;
    for (size_t i = 0; i < slots; i++)
        total += histogram->counts[i];
    for (size_t i = 0; i < slots; i++) {
        seen += histogram->counts[i];
        if (seen > 0 && (double)seen >= part * (double)total)
            return value_of(i);
    }
    return 0;
}
