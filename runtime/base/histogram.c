#include "base/histogram.h"

#include "base/check.h"

/* 10^0 to 10^13. */
static const uint64_t powers[] = {
    1,        10,        100,        1000,        10000,        100000,        1000000,
    10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000};

/* The exponent of the largest power of ten that is not above `number`, which is from 1 to 10^13. */
static unsigned power_of(uint64_t number)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(number);
    unsigned power = bits * 1233 >> 12; /* log10(2) is nearly 1233 / 4096 */
    return power - (number < powers[power]);
}

/* A range (a, b] has the index of a. */
static unsigned index_of(uint64_t number)
{
    uint64_t before = number > 0 ? number - 1 : 0;
    if (before < ML_HISTOGRAM_SINGLE)
        return (unsigned)before;
    if (ml_unlikely(before >= powers[ML_HISTOGRAM_POWERS + 2]))
        return ML_HISTOGRAM_COUNTS - 1;
    unsigned power = power_of(before);
    unsigned digits = (unsigned)(before / powers[power - 1]); /* 10 to 99 */
    return ML_HISTOGRAM_SINGLE + (power - 2) * ML_HISTOGRAM_RANGES + digits - 10;
}

/* The number above which the range of that index begins. */
static uint64_t begin_of(unsigned index)
{
    if (index < ML_HISTOGRAM_SINGLE)
        return index;
    index -= ML_HISTOGRAM_SINGLE;
    unsigned power = index / ML_HISTOGRAM_RANGES + 2;
    return (index % ML_HISTOGRAM_RANGES + 10) * powers[power - 1];
}

void ml_histogram_add(struct ml_histogram *histogram, uint64_t number)
{
    histogram->counts[index_of(number)]++;
    histogram->total++;
    histogram->sum += number;
    if (number > histogram->most)
        histogram->most = number;
}

void ml_histogram_merge(struct ml_histogram *histogram, const struct ml_histogram *other)
{
    for (unsigned i = 0; i < ML_HISTOGRAM_COUNTS; i++)
        histogram->counts[i] += other->counts[i];
    histogram->total += other->total;
    histogram->sum += other->sum;
    if (other->most > histogram->most)
        histogram->most = other->most;
}

uint64_t ml_histogram_count_to(const struct ml_histogram *histogram, uint64_t bound)
{
    uint64_t count = 0;
    unsigned last = index_of(bound);
    for (unsigned i = 0; i <= last; i++)
        count += histogram->counts[i];
    return count;
}

/* Where in a range the number of that rank lies, if those in there are spread evenly; the last
 * range ends with the largest number. */
static double interpolate(const struct ml_histogram *histogram, unsigned index, double rank)
{
    double begin = (double)begin_of(index), most = (double)histogram->most;
    double end = index + 1 < ML_HISTOGRAM_COUNTS ? (double)begin_of(index + 1) : most;
    double number = begin + (end - begin) * rank / (double)histogram->counts[index];
    return number < most ? number : most;
}

double ml_histogram_quantile(const struct ml_histogram *histogram, double q)
{
    double rank = q * (double)histogram->total;
    unsigned last = index_of(histogram->most), i = 0;
    if (histogram->total == 0)
        return 0;
    while (i < last && (histogram->counts[i] == 0 || rank > (double)histogram->counts[i]))
        rank -= (double)histogram->counts[i++];
    return histogram->counts[i] > 0 ? interpolate(histogram, i, rank) : (double)histogram->most;
}
