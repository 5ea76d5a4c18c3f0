#include "coro/coro.h"

#include "base/check.h"
#include "coro/bank.h"
#include "coro/switch.h"

#include <errno.h>

#ifdef ML_ASAN
static void **fake_stack_of(struct ml_coro *coro)
{
    return &coro->fake_stack;
}
#else
static void **fake_stack_of(struct ml_coro *coro)
{
    (void)coro;
    return NULL;
}
#endif

static void tell_leave(struct ml_bank *bank, void **fake, struct ml_coro *to)
{
    ml_fiber_enter(to->seat != NULL ? to->seat->stack.fiber : bank->origin_fiber);
    if (to->seat != NULL)
        ml_sanitizer_leave(fake, to->seat->stack.base, to->seat->stack.size);
    else
        ml_sanitizer_leave(fake, bank->origin_base, bank->origin_size);
}

/* The first arrival on a coroutine's stack comes from the origin, so the sanitizer reports where
 * that lies. */
static void tell_arrive(struct ml_bank *bank, void *fake)
{
    if (!ML_HAS_ASAN)
        return;
    const void *base;
    size_t size;
    ml_sanitizer_arrive(fake, &base, &size);
    if (bank->origin_base == NULL) {
        bank->origin_base = base;
        bank->origin_size = size;
    }
}

/* Abandoned frames leave their red zones behind for the stack's next user. */
static void tell_abandon(const struct ml_coro *coro, const void *deepest)
{
    if (!ML_HAS_ASAN || coro->seat == NULL || coro->seat->occupant != coro)
        return;
    const char *top = ml_stack_top(&coro->seat->stack);
    ml_sanitizer_unpoison(deepest, (size_t)(top - (const char *)deepest));
}

static inline bool is_in_place(const struct ml_bank *bank, const struct ml_coro *coro)
{
    return coro->seat != NULL ? coro->seat->occupant == coro : coro == &bank->origin;
}

static void start(void *entry, void *argument)
{
    tell_arrive(ml_bank_current, NULL);
    ((ml_coro_entry *)entry)(argument);
    ML_CHECK(!"a coroutine's entry returned");
}

int ml_coro_start(struct ml_bank *bank, struct ml_coro *coro, enum ml_coro_stack kind,
                  ml_coro_entry *entry, void *argument)
{
    int error = ml_bank_bind(bank, coro, kind);
    if (error == 0)
        error = ml_bank_place(bank, coro);
    if (error != 0) {
        ml_bank_unbind(bank, coro);
        return error;
    }
    coro->sp = ml_context_make(ml_stack_top(&coro->seat->stack), start, (void *)entry, argument);
    return 0;
}

void ml_coro_switch(struct ml_bank *bank, struct ml_coro *to)
{
    struct ml_coro *from = bank->running;
    ML_CHECK(to != from && is_in_place(bank, to));
    bank->running = to;
    if (ML_HAS_TSAN && from == &bank->origin)
        bank->origin_fiber = ml_fiber_running();
    tell_leave(bank, fake_stack_of(from), to);
    ml_context_switch(&from->sp, to->sp);
    tell_arrive(bank, ML_HAS_ASAN ? *fake_stack_of(from) : NULL);
}

_Noreturn void ml_coro_exit(struct ml_bank *bank, struct ml_coro *to)
{
    struct ml_coro *from = bank->running;
    ML_CHECK(from != &bank->origin && to != from && is_in_place(bank, to));
    tell_abandon(from, __builtin_frame_address(0));
    ml_bank_unbind(bank, from);
    bank->running = to;
    tell_leave(bank, NULL, to);
    /* Not into a local: ml_context_switch() must not write to one, the sanitizer has just given
     * those up. */
    ml_context_switch(&from->sp, to->sp);
    ml_check_failed("a coroutine that had ended was entered", __FILE__, __LINE__);
}

void ml_coro_hand_over(struct ml_bank *bank, struct ml_coro *next)
{
    struct ml_coro *from = bank->running;
    struct ml_seat *seat = from->seat;
    ML_CHECK(seat != NULL && next->seat == NULL);
    from->seat = NULL;
    ml_bank_unbind(bank, from);
    next->seat = seat;
    seat->occupant = next;
    bank->running = next;
}

void ml_coro_retire(struct ml_bank *bank, struct ml_coro *spare, struct ml_coro *to)
{
    struct ml_coro *from = bank->running;
    ML_CHECK(spare->seat == NULL && !from->seat->is_private && to != from && is_in_place(bank, to));
    spare->seat = from->seat;
    spare->seat->occupant = spare;
    from->seat = NULL;
    bank->running = to;
    ml_context_switch(&spare->sp, to->sp);
}

bool ml_coro_adopt(struct ml_coro *spare, struct ml_coro *coro)
{
    if (spare->seat == NULL || spare->seat->occupant != spare)
        return false;
    uint32_t tag = coro->tag;
    *coro = *spare;
    coro->tag = tag;
    coro->seat->occupant = coro;
    spare->seat = NULL;
    return true;
}

void ml_coro_drop(struct ml_bank *bank, struct ml_coro *coro)
{
    ML_CHECK(coro != bank->running);
    tell_abandon(coro, coro->sp);
    ml_bank_unbind(bank, coro);
}
