/*
 * The processor's counter of cycles, read in a third of the time that clock_gettime() takes, where
 * it counts evenly on all cores and through their sleep (x86-64's invariant TSC).
 */
#ifndef ML_BASE_CYCLES_H
#define ML_BASE_CYCLES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __x86_64__

static inline uint64_t ml_cycles_now(void)
{
    return __builtin_ia32_rdtsc();
}

#else

static inline uint64_t ml_cycles_now(void)
{
    return 0;
}

#endif

/* Whether ml_cycles_now() is a clock here. */
bool ml_cycles_are_even(void);

#endif
