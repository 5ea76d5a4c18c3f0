/*
 * The handling of signals with which the process began, noted before main(): the mask of the thread
 * that loaded this code, and the signals that were ignored. Children are to begin with the same,
 * whatever the program has changed since. Knows no child.
 */
#ifndef ML_SYSTEM_SIGNAL_START_STATE_H
#define ML_SYSTEM_SIGNAL_START_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum { ML_SIGNALS = 64 };

struct ml_start_state {
    uint64_t mask;    /* of blocked signals: bit n - 1 for signal n, as the kernel has it */
    uint64_t ignored; /* the same */
};

/* Constant once the process runs main(), or has loaded this library. */
extern const struct ml_start_state *const ml_start_state;

/* Whether the set, one of those above, holds the signal. */
static inline bool ml_start_state_has(uint64_t set, int signal)
{
    return (set >> (signal - 1) & 1) != 0;
}

#endif
