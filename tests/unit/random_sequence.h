/* Random numbers of tests: a test that fails with a seed fails again with it. */
#ifndef ML_TESTS_RANDOM_SEQUENCE_H
#define ML_TESTS_RANDOM_SEQUENCE_H

#include <stdint.h>

/* splitmix64: the same sequence for the same seed on every machine. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* From 0 to limit - 1. */
static inline unsigned random_below(uint64_t *state, unsigned limit)
{
    return (unsigned)(next_random(state) % limit);
}

#endif
