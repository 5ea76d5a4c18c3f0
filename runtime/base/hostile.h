/*
 * The hostile build: the same program with every rare event made common, for the tests. One shared
 * stack, so that each switch copies; vacated frames poisoned; one byte per read; a spurious wake-up
 * before each real one. Chosen with -DML_HOSTILE=1.
 */
#ifndef ML_BASE_HOSTILE_H
#define ML_BASE_HOSTILE_H

#ifdef ML_HOSTILE
enum { ML_IS_HOSTILE = 1 };
#else
enum { ML_IS_HOSTILE = 0 };
#endif

#endif
