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

/* The body of a coroutine. It may not return: it ends with ml_coro_exit() or ml_coro_hand_over().
 */
typedef void ml_coro_entry(void *argument);

/*
 * Binds `coro` to a stack, so that the next switch to it calls entry(argument).
 *
 * - 0;
 * - -ENOMEM: there is no stack;
 * - -EAGAIN: the only stack is the running one. Call it again from the origin.
 */
int ml_coro_start(struct ml_bank *bank, struct ml_coro *coro, enum ml_coro_stack kind,
                  ml_coro_entry *entry, void *argument);

/* Goes on with `to`, which is the origin or was put in place by ml_bank_place(). The running
 * coroutine stays suspended until a switch back to it. */
void ml_coro_switch(struct ml_bank *bank, struct ml_coro *to);

/* Ends the running coroutine and goes on with `to`, which is the origin or in place. */
_Noreturn void ml_coro_exit(struct ml_bank *bank, struct ml_coro *to);

/*
 * Ends the running coroutine. Its stack and its flow of control become those of `next`, which was
 * not started: the caller goes on as `next`. Both are of the same ml_coro_stack kind.
 */
void ml_coro_hand_over(struct ml_bank *bank, struct ml_coro *next);

/*
 * Ends the running coroutine, which is on a shared stack, and goes on with `to`, which is the
 * origin or in place. The stack and the flow of control stay behind as `spare`, which was unbound.
 * Returns as the coroutine that later adopts them.
 */
void ml_coro_retire(struct ml_bank *bank, struct ml_coro *spare, struct ml_coro *to);

/* Gives `coro`, which was not started, what a retired coroutine left in `spare`: it is in place,
 * and the next switch to it returns from ml_coro_retire(). False, nothing done: `spare` is empty,
 * or its frames were moved away. */
bool ml_coro_adopt(struct ml_coro *spare, struct ml_coro *coro);

/* Forgets the frames of a suspended coroutine, wherever they are: it is unbound again. Resources
 * that its C frames own are lost. */
void ml_coro_drop(struct ml_bank *bank, struct ml_coro *coro);

#endif
