/*
 * Counts values in slots as wide as 1.6 % of the value, and tells percentiles. Does not know what
 * the values mean.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 64 /* per power of two: an error of 1.6 % */ };

struct histogram {
    uint64_t counts[64 * HISTOGRAM_STEPS];
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that `part` (0 to 1) of all are not above; 0 for none. */
uint64_t histogram_percentile(const struct histogram *histogram, double part);

#endif
