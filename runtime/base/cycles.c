#include "base/cycles.h"

#ifdef __x86_64__

#include <cpuid.h>

bool ml_cycles_are_even(void)
{
    enum { ADVANCED_POWER = 0x80000007, INVARIANT_TSC = 1 << 8 };
    unsigned a, b, c, d;
    return __get_cpuid(ADVANCED_POWER, &a, &b, &c, &d) != 0 && (d & INVARIANT_TSC) != 0;
}

#else

bool ml_cycles_are_even(void)
{
    return false;
}

#endif
