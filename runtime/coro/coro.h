/*
 * A coroutine in C: a flow of control with a stack, left and entered by a hard switch. Stacks come
 * from the thread's bank (coro/bank.h). Knows no task, no Lua and no event loop.
 *
 * The frames of a suspended coroutine may be copied away and back: nothing outside it may hold a
 * pointer into its stack across a switch.
 */
#ifndef ML_CORO_CORO_H
#define ML_CORO_CORO_H

#include "coro/context.h"

#include <stdbool.h>

struct ml_bank;

/* What a coroutine runs. It may not return: it ends with ml_coro_exit() or ml_coro_hand_over(). */
typedef void ml_coro_entry(void *argument);

/*
 * Binds `coro` to a stack, so that the next switch to it calls entry(argument).
 * 0; -ENOMEM: no stack to be had; -EAGAIN: the only stack is the running one, call it again from
 * the origin.
 */
int ml_coro_start(struct ml_bank *bank, struct ml_coro *coro, enum ml_coro_stack kind,
                  ml_coro_entry *entry, void *argument);

/* Goes on with `to`, the origin or one that ml_bank_place() has put in place; the running one stays
 * suspended until somebody switches back to it. */
void ml_coro_switch(struct ml_bank *bank, struct ml_coro *to);

/* Goes on with `to`, the origin or one that is in place, for good: the running one has ended. */
_Noreturn void ml_coro_exit(struct ml_bank *bank, struct ml_coro *to);

/*
 * The running coroutine has ended and lends its stack and its flow of control to `next`, which was
 * not started: the caller goes on as `next`. Both are of the same ml_coro_stack kind.
 */
void ml_coro_hand_over(struct ml_bank *bank, struct ml_coro *next);

/*
 * The running coroutine, on a shared stack, has ended; its stack and its flow of control stay
 * behind as `spare`, unbound so far, and `to` goes on, the origin or one in place. Returns in
 * whoever is lent them later.
 */
void ml_coro_retire(struct ml_bank *bank, struct ml_coro *spare, struct ml_coro *to);

/* Lends what a retired coroutine left in `spare` to `coro`, which was not started: it is in place,
 * and the next switch to it returns from ml_coro_retire(). False, nothing done: there is none, or
 * its frames were moved away. */
bool ml_coro_adopt(struct ml_coro *spare, struct ml_coro *coro);

/* Forgets the frames of a suspended coroutine, wherever they are: it is unbound again. What its C
 * frames own is lost to it. */
void ml_coro_drop(struct ml_bank *bank, struct ml_coro *coro);

#endif
