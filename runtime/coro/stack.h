/*
 * One C stack: a mapping that the kernel fills as it is touched, with a guard below. Knows no
 * coroutines.
 */
#ifndef ML_CORO_STACK_H
#define ML_CORO_STACK_H

#include <stdbool.h>
#include <stddef.h>

struct ml_stack {
    char *base;  /* lowest usable byte; the guard ends here. NULL: not mapped */
    size_t size; /* usable bytes, a multiple of the page size */
    unsigned valgrind_id;
    void *fiber; /* for ThreadSanitizer */
};

/* Bytes of the guard below each stack: more than the frame of any sensible C function. */
enum { ML_STACK_GUARD = 64 * 1024 };

/* Maps a stack of at least `size` usable bytes. 0 or -ENOMEM. */
int ml_stack_map(struct ml_stack *stack, size_t size);

/* Gives the memory back; harmless on one that is not mapped. No thread runs on it. */
void ml_stack_unmap(struct ml_stack *stack);

/* One past the highest usable byte: stacks grow down from here. */
static inline char *ml_stack_top(const struct ml_stack *stack)
{
    return stack->base + stack->size;
}

/* True when `address` lies in the guard: the stack has overflowed. Async-signal-safe. */
bool ml_stack_guards(const struct ml_stack *stack, const void *address);

/* Bytes from the top down to the deepest page ever touched: the high-water mark. */
size_t ml_stack_high_water(const struct ml_stack *stack);

#endif
