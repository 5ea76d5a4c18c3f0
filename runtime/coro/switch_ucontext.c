/*
 * The switch for machines without one in assembly: swapcontext(3), which also saves the signal
 * mask with a system call each time. Correct everywhere, fast nowhere.
 */
#include "coro/switch.h"

#include "base/check.h"

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

/*
 * The record lies on the suspended stack itself, so that it is copied with the frames. SLACK bytes
 * below it belong to the suspended call of swapcontext.
 */
enum { SLACK = 512 };

struct record {
    ucontext_t registers;
    ml_context_start *start;
    void *first;
    void *second;
};

static struct record *record_of(void *sp)
{
    return (struct record *)((char *)sp + SLACK);
}

/* Not instrumented: the record has to lie on the real stack, and no red zones around it may stay
 * behind on one that is left for good. */
__attribute__((no_sanitize("address"))) void ml_context_switch(void **from, void *to)
{
    struct record here;
    struct record *there = record_of(to);
    *from = (void *)((uintptr_t)&here - SLACK);
    here.registers.uc_stack = (stack_t){0};
    sigprocmask(SIG_SETMASK, NULL, &there->registers.uc_sigmask);
    ML_CHECK(swapcontext(&here.registers, &there->registers) == 0);
}

/* makecontext passes ints only: the record's address comes in two halves. */
static void begin(unsigned high, unsigned low)
{
    struct record *record = (struct record *)(uintptr_t)(((uint64_t)high << 32) | low);
    record->start(record->first, record->second);
    ML_CHECK(!"a coroutine's start function returned");
}

void *ml_context_make(void *top, ml_context_start *start, void *first, void *second)
{
    uintptr_t address = ((uintptr_t)top - sizeof(struct record)) & ~(uintptr_t)63;
    struct record *record = (struct record *)address;
    record->start = start;
    record->first = first;
    record->second = second;
    ML_CHECK(getcontext(&record->registers) == 0);
    enum { ROOM = 16384 };
    record->registers.uc_stack.ss_sp = (char *)record - ROOM;
    record->registers.uc_stack.ss_size = ROOM;
    record->registers.uc_link = NULL;
    makecontext(&record->registers, (void (*)(void))begin, 2, (unsigned)((uint64_t)address >> 32),
                (unsigned)address);
    return (void *)(address - SLACK);
}
