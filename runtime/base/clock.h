/*
 * Time as all of moonlet counts it: nanoseconds of the monotonic clock, deadlines absolute.
 * Seconds as floating point exist at the Lua surface only, and are converted here.
 */
#ifndef ML_BASE_CLOCK_H
#define ML_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A point of the monotonic clock, or a span of it, in nanoseconds. */
typedef int64_t ml_time;

/* The deadline that never comes, and that of a call that may not wait at all. */
#define ML_FOREVER INT64_MAX
#define ML_NEVER_WAIT ((ml_time)0)
#define ML_SECOND ((ml_time)1000000000)
#define ML_MILLISECOND ((ml_time)1000000)

static inline ml_time ml_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (ml_time)now.tv_sec * ML_SECOND + now.tv_nsec;
}

/* `seconds` as a span, rounded up, kept within [0, ML_FOREVER]; infinity and NaN are forever. */
static inline ml_time ml_time_from_seconds(double seconds)
{
    double nanoseconds = seconds * 1e9;
    if (nanoseconds <= 0)
        return 0;
    if (!(nanoseconds < 9.2e18))
        return ML_FOREVER;
    ml_time span = (ml_time)nanoseconds;
    return span + ((double)span < nanoseconds);
}

static inline double ml_time_to_seconds(ml_time span)
{
    return (double)span / 1e9;
}

/* `span` after `start`, without overflow: forever stays forever. */
static inline ml_time ml_time_after(ml_time start, ml_time span)
{
    return span >= ML_FOREVER - start ? ML_FOREVER : start + span;
}

/* Seconds and nanoseconds as libc has them, as one span or time; clamped to the range of ml_time.
 */
static inline ml_time ml_time_of(int64_t seconds, int64_t nanoseconds)
{
    ml_time whole, sum;
    bool is_too_long = __builtin_mul_overflow(seconds, ML_SECOND, &whole) ||
                       __builtin_add_overflow(whole, nanoseconds, &sum);
    if (is_too_long)
        return seconds < 0 ? -ML_FOREVER : ML_FOREVER;
    return sum;
}

/* The span from one time to another, without overflow. */
static inline ml_time ml_time_between(ml_time from, ml_time to)
{
    ml_time span;
    if (__builtin_sub_overflow(to, from, &span))
        return to < from ? -ML_FOREVER : ML_FOREVER;
    return span;
}

static inline ml_time ml_time_earlier(ml_time a, ml_time b)
{
    return a < b ? a : b;
}

#endif
