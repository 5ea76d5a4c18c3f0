/*
 * The machine's part of a coroutine: saves the registers on the running stack and goes on with
 * those saved on another. Knows neither where stacks come from nor which coroutine runs on them.
 *
 * One of switch_x86_64.S, switch_aarch64.S and switch_ucontext.c provides it.
 */
#ifndef ML_CORO_SWITCH_H
#define ML_CORO_SWITCH_H

#include <stddef.h>

/* The first function of a context: gets the two values given to ml_context_make(); never returns.
 */
typedef void ml_context_start(void *first, void *second);

/*
 * Saves the callee-saved registers and the floating-point control words on the running stack,
 * stores the stack pointer in *from, and goes on with the context whose stack pointer is `to`.
 * Returns at a switch back to *from. By then everything from *from up to the end of that stack must
 * hold the same bytes at the same addresses. Signal masks are not touched.
 */
void ml_context_switch(void **from, void *to);

/*
 * Lays out at the top of an unused stack a context that calls start(first, second).
 * top: one past the highest byte. Returns the stack pointer to switch to.
 */
void *ml_context_make(void *top, ml_context_start *start, void *first, void *second);

#endif
