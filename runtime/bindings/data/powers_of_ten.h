/* The powers of ten from -292 to 324 in 128 bits each, for printing floats. */
#ifndef ML_BINDINGS_DATA_POWERS_OF_TEN_H
#define ML_BINDINGS_DATA_POWERS_OF_TEN_H

#include <stdint.h>

/* 10^k, times the power of two that makes its highest bit the 128th, rounded up. */
struct ml_power_of_ten {
    uint64_t high, low;
};

enum { ML_LEAST_POWER_OF_TEN = -292 };

/* At k - ML_LEAST_POWER_OF_TEN. */
extern const struct ml_power_of_ten ml_powers_of_ten[];

#endif
