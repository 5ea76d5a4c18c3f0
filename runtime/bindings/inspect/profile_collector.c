/*
 * The functions of Lua's lgc.c lie together in the program, and in this order: its own ones, those
 * that other files call for every new object, those that collect. The linker knows the second and
 * third group (they have hidden names), so that all three can be told apart. When it finds them in
 * another order, or not at all (a shared liblua), nothing is known.
 */
#include "bindings/inspect/profile_collector.h"

#include <stdint.h>

#define ML_WEAK __attribute__((weak, visibility("hidden")))
extern const char luaC_barrier_[] ML_WEAK, luaC_freeallobjects[] ML_WEAK, luaC_step[] ML_WEAK,
    luaC_fullgc[] ML_WEAK, luaV_execute[] ML_WEAK;

/* luaC_step and luaC_fullgc where vm/export_collector.c stands in for those. */
extern const char __real_luaC_step[] ML_WEAK, __real_luaC_fullgc[] ML_WEAK;

/* Bytes of the collector's own functions in front of luaC_barrier_, and of luaC_fullgc().
 * measured: 7,632 and 362 (Debian 12, x86-64). */
enum { OWN = 7600, FULL = 352 };

/* Bytes of the interpreter's loop, whose frame holds old return addresses. measured: 14 KB. */
enum { LOOP = 12000 };

/* The words of the stack that may lie between a function that frees and the return address into
 * the collector. */
enum { WORDS = 48 };

struct range {
    uintptr_t begin, end;
};

static bool holds(struct range range, uintptr_t address)
{
    return address - range.begin < range.end - range.begin;
}

static uintptr_t address_of(const char *function)
{
    return (uintptr_t)function;
}

static uintptr_t step_address(void)
{
    uintptr_t real = address_of(__real_luaC_step);
    return real != 0 ? real : address_of(luaC_step);
}

static uintptr_t full_address(void)
{
    uintptr_t real = address_of(__real_luaC_fullgc);
    return real != 0 ? real : address_of(luaC_fullgc);
}

/* Not const: the compiler would take the addresses of two objects for unequal to 0. */
bool ml_profile_knows_collector(void)
{
    uintptr_t barrier = address_of(luaC_barrier_), free_all = address_of(luaC_freeallobjects),
              step = step_address(), full = full_address();
    enum { MOST = 16384 };
    return barrier != 0 && barrier < free_all && free_all < step && step < full &&
           full - barrier < MOST;
}

static uintptr_t counter_of(const ucontext_t *at)
{
#if defined(__x86_64__)
    return (uintptr_t)at->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)at->uc_mcontext.pc;
#else
    return 0;
#endif
}

static uintptr_t stack_of(const ucontext_t *at)
{
#if defined(__x86_64__)
    return (uintptr_t)at->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)at->uc_mcontext.sp;
#else
    return 0;
#endif
}

/* The first return address into lgc.c decides. */
__attribute__((no_sanitize("address"), no_sanitize("undefined"))) static bool was_called(
    struct range all, struct range allocating, uintptr_t stack, const struct ml_strand *strand)
{
    const uintptr_t *word = (const uintptr_t *)(stack & ~(uintptr_t)(sizeof *word - 1));
    for (int i = 0; i < WORDS && ml_strand_holds(strand, word + i); i++)
        if (holds(all, word[i]))
            return !holds(allocating, word[i]);
    return false;
}

bool ml_profile_in_collector(const ucontext_t *interrupted, const struct ml_strand *strand)
{
    if (!ml_profile_knows_collector())
        return false;
    struct range all = {address_of(luaC_barrier_) - OWN, full_address() + FULL};
    struct range allocating = {address_of(luaC_barrier_), address_of(luaC_freeallobjects)};
    uintptr_t counter = counter_of(interrupted);
    if (holds(all, counter))
        return !holds(allocating, counter);
    struct range loop = {address_of(luaV_execute), address_of(luaV_execute) + LOOP};
    if (holds(loop, counter) || strand->coro.seat == NULL)
        return false;
    return was_called(all, allocating, stack_of(interrupted), strand);
}
