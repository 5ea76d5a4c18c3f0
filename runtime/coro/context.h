/*
 * A coroutine as data: its stack pointer while it is suspended, and the place of its frames.
 * coro/bank.h moves them, coro/coro.h starts and leaves it.
 */
#ifndef ML_CORO_CONTEXT_H
#define ML_CORO_CONTEXT_H

#include "coro/sanitizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ml_seat;

struct ml_coro {
    void *sp;             /* stack pointer while suspended */
    struct ml_seat *seat; /* the stack it is bound to; NULL before the start and after the end */
    char *copy;           /* its frames while they are off the stack, from the bank's pool */
    uint32_t copy_size;   /* 0: the frames are in place */
    uint32_t tag;         /* for the owner */
#ifdef ML_ASAN
    void *fake_stack;
#endif
};

/* Has the processor prefetch the frames of a suspended coroutine that will run soon. */
static inline void ml_coro_prefetch(const struct ml_coro *coro)
{
    enum { CACHE_LINE = 64, MOST = 2048 };
    size_t size = coro->copy_size < MOST ? coro->copy_size : MOST;
    for (size_t offset = 0; offset < size; offset += CACHE_LINE)
        __builtin_prefetch(coro->copy + offset);
}

enum ml_coro_stack {
    ML_STACK_SHARED, /* a seat of the bank, shared with other coroutines */
    ML_STACK_PRIVATE /* a mapping of its own, for C code that hands out addresses of its locals */
};

/* True before ml_coro_start() and after the end. */
static inline bool ml_coro_is_unbound(const struct ml_coro *coro)
{
    return coro->seat == NULL;
}

#endif
