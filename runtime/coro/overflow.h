/*
 * A C stack that overflows hits its guard: this says so instead of leaving a bare segmentation
 * fault. It changes the process's SIGSEGV action, so the program has to ask for it.
 */
#ifndef ML_CORO_OVERFLOW_H
#define ML_CORO_OVERFLOW_H

#include "coro/bank.h"

/* Runs in the signal handler, on the alternate stack, before abort(): what it prints is the last
 * word. bank->running is the coroutine that overflowed. */
typedef void ml_overflow_report(struct ml_bank *bank);

/*
 * Gives the calling thread an alternate signal stack and, if nobody handles SIGSEGV yet, installs a
 * handler that tells guard hits on the stacks of the thread's current bank from other faults; those
 * get the default action. 0 or a negated errno.
 */
int ml_overflow_watch(struct ml_bank *bank, ml_overflow_report *report);

/* Takes the alternate stack away again; the handler stays, harmless. Same thread as the watch. */
void ml_overflow_unwatch(struct ml_bank *bank);

#endif
