/*
 * Reports a C stack that overflows into its guard, where there would be a bare segmentation fault.
 * It changes the process's SIGSEGV action, so the program has to ask for it.
 */
#ifndef ML_CORO_OVERFLOW_H
#define ML_CORO_OVERFLOW_H

#include "coro/bank.h"

/* Called in the signal handler, on the alternate stack, before abort(). bank->running is the
 * coroutine that overflowed. */
typedef void ml_overflow_report(struct ml_bank *bank);

/*
 * Gives the calling thread an alternate signal stack and, if SIGSEGV has no handler yet, installs
 * one. It reports guard hits on the stacks of the thread's current bank; other faults get the
 * default action. 0 or a negated errno.
 */
int ml_overflow_watch(struct ml_bank *bank, ml_overflow_report *report);

/* Takes the alternate stack away again, on the thread of the watch. The handler stays, harmless. */
void ml_overflow_unwatch(struct ml_bank *bank);

#endif
