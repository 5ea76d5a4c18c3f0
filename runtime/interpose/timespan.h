/* Time spans as libc's calls take them. */
#ifndef ML_INTERPOSE_TIMESPAN_H
#define ML_INTERPOSE_TIMESPAN_H

#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

static inline bool ml_is_timespan(const struct timespec *span)
{
    return span->tv_sec >= 0 && span->tv_nsec >= 0 && span->tv_nsec < ML_SECOND;
}

/* ML_FOREVER for NULL, and for spans that are too long for ml_time. */
static inline ml_time ml_timespan(const struct timespec *span)
{
    return span == NULL ? ML_FOREVER : ml_time_of(span->tv_sec, span->tv_nsec);
}

#endif
