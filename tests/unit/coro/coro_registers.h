/*
 * The registers that a switch has to keep, one by one: values for all that belong to the caller,
 * and the floating-point control words. One part for each machine that has a switch in assembly;
 * others have no such registers as far as the tests know.
 */
#ifndef ML_TESTS_CORO_REGISTERS_H
#define ML_TESTS_CORO_REGISTERS_H

#include "coro_fixture.h"

#include "coro/switch.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Loads the callee-saved registers from values[0..KEPT_REGISTERS), calls ml_context_switch(from,
 * to) and stores in values[] what the registers hold when it returns.
 */
void switch_with_registers(void **from, void *to, uint64_t *values);

#if defined(__x86_64__)

enum { KEPT_REGISTERS = 6 };

__asm__(".text\n"
        ".globl switch_with_registers\n"
        ".type switch_with_registers, @function\n"
        "switch_with_registers:\n"
        "  pushq %rbp\n"
        "  pushq %rbx\n"
        "  pushq %r12\n"
        "  pushq %r13\n"
        "  pushq %r14\n"
        "  pushq %r15\n"
        "  pushq %rdx\n"
        "  movq 0(%rdx), %rbx\n"
        "  movq 8(%rdx), %rbp\n"
        "  movq 16(%rdx), %r12\n"
        "  movq 24(%rdx), %r13\n"
        "  movq 32(%rdx), %r14\n"
        "  movq 40(%rdx), %r15\n"
        "  call ml_context_switch\n"
        "  popq %rdx\n"
        "  movq %rbx, 0(%rdx)\n"
        "  movq %rbp, 8(%rdx)\n"
        "  movq %r12, 16(%rdx)\n"
        "  movq %r13, 24(%rdx)\n"
        "  movq %r14, 32(%rdx)\n"
        "  movq %r15, 40(%rdx)\n"
        "  popq %r15\n"
        "  popq %r14\n"
        "  popq %r13\n"
        "  popq %r12\n"
        "  popq %rbx\n"
        "  popq %rbp\n"
        "  ret\n"
        ".size switch_with_registers, . - switch_with_registers\n");

/* The rounding fields of mxcsr and of the x87 control word. */
enum { CONTROL_WORDS = 2 };

static inline unsigned get_rounding(int word)
{
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return word == 0 ? mxcsr >> 13 & 3 : (unsigned)x87 >> 10 & 3;
}

static inline void set_rounding(int word, unsigned mode)
{
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    mxcsr = (mxcsr & ~(3u << 13)) | mode << 13;
    x87 = (uint16_t)((x87 & ~(3u << 10)) | mode << 10);
    if (word == 0)
        __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    else
        __asm__ volatile("fldcw %0" : : "m"(x87));
}

#elif defined(__aarch64__)

/* x19-x28, then the low halves of v8-v15. */
enum { KEPT_REGISTERS = 18 };

__asm__(".text\n"
        ".globl switch_with_registers\n"
        ".type switch_with_registers, %function\n"
        "switch_with_registers:\n"
        "  stp x29, x30, [sp, #-176]!\n"
        "  stp x19, x20, [sp, #16]\n"
        "  stp x21, x22, [sp, #32]\n"
        "  stp x23, x24, [sp, #48]\n"
        "  stp x25, x26, [sp, #64]\n"
        "  stp x27, x28, [sp, #80]\n"
        "  stp d8, d9, [sp, #96]\n"
        "  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n"
        "  stp d14, d15, [sp, #144]\n"
        "  str x2, [sp, #160]\n"
        "  ldp x19, x20, [x2, #0]\n"
        "  ldp x21, x22, [x2, #16]\n"
        "  ldp x23, x24, [x2, #32]\n"
        "  ldp x25, x26, [x2, #48]\n"
        "  ldp x27, x28, [x2, #64]\n"
        "  ldp d8, d9, [x2, #80]\n"
        "  ldp d10, d11, [x2, #96]\n"
        "  ldp d12, d13, [x2, #112]\n"
        "  ldp d14, d15, [x2, #128]\n"
        "  bl ml_context_switch\n"
        "  ldr x2, [sp, #160]\n"
        "  stp x19, x20, [x2, #0]\n"
        "  stp x21, x22, [x2, #16]\n"
        "  stp x23, x24, [x2, #32]\n"
        "  stp x25, x26, [x2, #48]\n"
        "  stp x27, x28, [x2, #64]\n"
        "  stp d8, d9, [x2, #80]\n"
        "  stp d10, d11, [x2, #96]\n"
        "  stp d12, d13, [x2, #112]\n"
        "  stp d14, d15, [x2, #128]\n"
        "  ldp x19, x20, [sp, #16]\n"
        "  ldp x21, x22, [sp, #32]\n"
        "  ldp x23, x24, [sp, #48]\n"
        "  ldp x25, x26, [sp, #64]\n"
        "  ldp x27, x28, [sp, #80]\n"
        "  ldp d8, d9, [sp, #96]\n"
        "  ldp d10, d11, [sp, #112]\n"
        "  ldp d12, d13, [sp, #128]\n"
        "  ldp d14, d15, [sp, #144]\n"
        "  ldp x29, x30, [sp], #176\n"
        "  ret\n"
        ".size switch_with_registers, . - switch_with_registers\n");

/* The rounding field of fpcr. */
enum { CONTROL_WORDS = 1 };

static inline unsigned get_rounding(int word)
{
    uint64_t fpcr;
    (void)word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (unsigned)(fpcr >> 22 & 3);
}

static inline void set_rounding(int word, unsigned mode)
{
    uint64_t fpcr;
    (void)word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = (fpcr & ~((uint64_t)3 << 22)) | (uint64_t)mode << 22;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}

#else

enum { KEPT_REGISTERS = 1, CONTROL_WORDS = 0 };

void switch_with_registers(void **from, void *to, uint64_t *values)
{
    (void)values;
    ml_context_switch(from, to);
}

static inline unsigned get_rounding(int word)
{
    (void)word;
    return 0;
}

static inline void set_rounding(int word, unsigned mode)
{
    (void)word, (void)mode;
}

#endif

/* A random sequence for values[]. */
static inline void set_registers(uint64_t *values, uint64_t seed)
{
    for (int i = 0; i < KEPT_REGISTERS; i++)
        values[i] = next_random(&seed);
}

static inline bool have_registers(const uint64_t *values, uint64_t seed)
{
    for (int i = 0; i < KEPT_REGISTERS; i++)
        if (values[i] != next_random(&seed))
            return false;
    return true;
}

#endif
