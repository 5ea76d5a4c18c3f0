/*
 * A histogram of whole numbers, such as nanoseconds: log-linear ranges in fixed memory, 90 for each
 * power of ten, so that two digits of a number are kept. Counting takes a fixed time. Knows no
 * unit.
 */
#ifndef ML_BASE_HISTOGRAM_H
#define ML_BASE_HISTOGRAM_H

#include <stdint.h>

/* Ranges of one number each; those of a power of ten; the powers that are told apart: up to 10^13,
 * in nanoseconds nearly three hours. One range more has all numbers above. */
enum { ML_HISTOGRAM_SINGLE = 100, ML_HISTOGRAM_RANGES = 90, ML_HISTOGRAM_POWERS = 11 };

enum { ML_HISTOGRAM_COUNTS = ML_HISTOGRAM_SINGLE + ML_HISTOGRAM_RANGES * ML_HISTOGRAM_POWERS + 1 };

/* All zero at the begin. A range begins above the end of the one before, and its end belongs to
 * it. */
struct ml_histogram {
    uint64_t total; /* numbers that were counted */
    uint64_t sum;   /* of them; wraps */
    uint64_t most;  /* the largest */
    uint64_t counts[ML_HISTOGRAM_COUNTS];
};

void ml_histogram_add(struct ml_histogram *histogram, uint64_t number);

/* Adds all that `other` has counted. */
void ml_histogram_merge(struct ml_histogram *histogram, const struct ml_histogram *other);

/* How many of the numbers are not above `bound`. Exact for a bound that ends a range: one that has
 * two digits, and zeros behind them; else as if it were the end of its range. */
uint64_t ml_histogram_count_to(const struct ml_histogram *histogram, uint64_t bound);

/* The number below which the share `q` (0 to 1) of them lies: it is off by less than a tenth of
 * itself. 0: none was counted. */
double ml_histogram_quantile(const struct ml_histogram *histogram, double q);

#endif
