/*
 * What the tests of runtime/coro share: a bank for the calling thread, the little of a scheduler
 * that -EAGAIN asks for, and patterns of bytes. Knows no test framework: assertions belong on the
 * origin, for a failed one may leap off its stack.
 */
#ifndef ML_TESTS_CORO_FIXTURE_H
#define ML_TESTS_CORO_FIXTURE_H

#include "../child_process.h"
#include "../random_sequence.h"

#include "base/check.h"
#include "base/hostile.h"
#include "base/pool.h"
#include "coro/bank.h"
#include "coro/coro.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/* Small enough that many private ones cost nothing, large enough for an instrumented build. */
enum { SMALL_STACK = 256 * 1024 };

/* Where this thread's copies of frames lie. One bank of the fixture at a time. */
static _Thread_local struct ml_pool fixture_pool;

static inline void open_bank(struct ml_bank *bank, unsigned stacks, size_t stack_size)
{
    ml_pool_init(&fixture_pool);
    ml_bank_init(bank, &fixture_pool, stacks, stack_size);
    ml_bank_current = bank;
}

static inline void close_bank(struct ml_bank *bank)
{
    ml_bank_release(bank);
    ml_bank_current = NULL;
    ml_pool_release(&fixture_pool);
}

/* False where a tool or the hostile build leaves the bank fewer shared stacks than that. */
static inline bool has_shared(const struct ml_bank *bank, unsigned stacks)
{
    return !bank->all_private && bank->limit >= stacks;
}

/* Whom the origin of this thread is asked to go on with. */
static _Thread_local struct ml_coro *fixture_next;

/* Errors of ml_bank_place(); 0 once somebody switched back. */
static inline int switch_to(struct ml_bank *bank, struct ml_coro *to)
{
    int error = ml_bank_place(bank, to);
    if (error == 0)
        ml_coro_switch(bank, to);
    return error;
}

/* From a coroutine: back to the test. */
static inline void pause_here(struct ml_bank *bank)
{
    ml_coro_switch(bank, &bank->origin);
}

/* From a coroutine: to another one, through the origin when both live on one stack. */
static inline void go_to(struct ml_bank *bank, struct ml_coro *to)
{
    int error = switch_to(bank, to);
    if (error == 0)
        return;
    ML_CHECK(error == -EAGAIN);
    fixture_next = to;
    pause_here(bank);
}

/* From a coroutine: ends it, back to the test. */
static inline _Noreturn void finish_here(struct ml_bank *bank)
{
    ml_coro_exit(bank, &bank->origin);
}

/* From the test: runs `first` and whoever follows, until one pauses or finishes. */
static inline void drive(struct ml_bank *bank, struct ml_coro *first)
{
    fixture_next = first;
    while (fixture_next != NULL) {
        struct ml_coro *to = fixture_next;
        fixture_next = NULL;
        ML_CHECK(switch_to(bank, to) == 0);
    }
}

static inline void fill_pattern(unsigned char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(seed + i * 131 + (i >> 8));
}

static inline bool holds_pattern(const unsigned char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(seed + i * 131 + (i >> 8)))
            return false;
    return true;
}

#endif
