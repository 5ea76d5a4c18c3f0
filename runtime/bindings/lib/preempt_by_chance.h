/*
 * For tests: every task lets others run after a random number of its instructions, which a seed
 * reproduces. Knows no clock.
 */
#ifndef ML_BINDINGS_LIB_PREEMPT_BY_CHANCE_H
#define ML_BINDINGS_LIB_PREEMPT_BY_CHANCE_H

#include <lua.h>
#include <stdint.h>

/* From now on the running tasks of L's runtime are preempted after `mean` instructions on average,
 * and not by time; seed 0: not any more. */
void ml_preempt_by_chance(lua_State *L, uint64_t seed, uint32_t mean);

#endif
