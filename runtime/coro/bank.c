#include "coro/bank.h"

#include "base/check.h"
#include "base/hostile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { IDLE_PRIVATE_KEPT = 8, POISON = 0xA5 };

_Thread_local struct ml_bank *ml_bank_current;

/* Where the address space is limited (ulimit -v), stacks take a quarter of it at most, to leave the
 * rest to the program. */
static unsigned affordable(unsigned stacks, size_t stack_size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return stacks;
    rlim_t most = limit.rlim_cur / 4 / (stack_size + ML_STACK_GUARD);
    return most < 1 ? 1 : most < stacks ? (unsigned)most : stacks;
}

void ml_bank_init(struct ml_bank *bank, struct ml_pool *pool, unsigned stacks, size_t stack_size)
{
    *bank = (struct ml_bank){
        .pool = pool,
        .stack_size = stack_size > 0 ? stack_size : ML_BANK_STACK_SIZE,
        .limit = stacks > 0 && stacks <= ML_BANK_STACKS ? stacks : ML_BANK_STACKS,
        .all_private = ml_tools_need_private_stacks(),
    };
    unsigned most = affordable(bank->limit, bank->stack_size);
    bank->maps_ahead = most < bank->limit;
    bank->limit = most;
    if (ML_IS_HOSTILE)
        bank->limit = 1;
    bank->running = &bank->origin;
}

static void free_private(struct ml_seat *seat)
{
    ml_stack_unmap(&seat->stack);
    free(seat);
}

static struct ml_seat *pop_idle_private(struct ml_bank *bank)
{
    struct ml_seat *seat = bank->idle_private;
    bank->idle_private = seat->next;
    bank->idle_private_count--;
    return seat;
}

void ml_bank_release(struct ml_bank *bank)
{
    ML_CHECK(bank->running == &bank->origin);
    while (bank->idle_private != NULL)
        free_private(pop_idle_private(bank));
    for (unsigned i = 0; i < bank->made; i++)
        ml_stack_unmap(&bank->shared[i].stack);
    ml_reserve_release(&bank->reserve);
    bank->made = 0;
    bank->empty = 0;
}

static unsigned index_of(const struct ml_bank *bank, const struct ml_seat *seat)
{
    return (unsigned)(seat - bank->shared);
}

static void set_occupant(struct ml_bank *bank, struct ml_seat *seat, struct ml_coro *coro)
{
    seat->occupant = coro;
    if (seat->is_private)
        return;
    uint64_t bit = (uint64_t)1 << index_of(bank, seat);
    bank->empty = coro == NULL ? bank->empty | bit : bank->empty & ~bit;
}

static struct ml_seat *new_private(struct ml_bank *bank)
{
    if (bank->idle_private != NULL)
        return pop_idle_private(bank);
    struct ml_seat *seat = calloc(1, sizeof *seat);
    if (seat == NULL)
        return NULL;
    seat->is_private = true;
    if (ml_stack_map(&seat->stack, bank->stack_size) == 0)
        return seat;
    free(seat);
    return NULL;
}

static struct ml_seat *new_shared(struct ml_bank *bank)
{
    struct ml_seat *seat = &bank->shared[bank->made];
    if (ml_stack_map(&seat->stack, bank->stack_size) != 0) {
        bank->limit = bank->made > 0 ? bank->made : bank->limit;
        return NULL;
    }
    bank->made++;
    set_occupant(bank, seat, NULL);
    return seat;
}

/* Units of the reserve for each coroutine that has not begun (its frames, and what else it needs
 * when it begins), and for all that have begun. */
enum { UNITS_EACH = 3, UNITS_FOR_ALL = 1024 };

int ml_bank_expect(struct ml_bank *bank, size_t unborn)
{
    size_t units = UNITS_FOR_ALL + unborn * UNITS_EACH;
    if (bank->made == 0 && new_shared(bank) == NULL)
        return -ENOMEM;
    while (bank->maps_ahead && bank->made < bank->limit && new_shared(bank) != NULL)
        ;
    ml_reserve_shrink(&bank->reserve, units);
    return ml_reserve_grow(&bank->reserve, units);
}

/* An empty seat, else a new one, else the next in turn; the running coroutine's only if there is no
 * other: a generator and its consumer on one stack would copy at every step. */
static struct ml_seat *choose_shared(struct ml_bank *bank)
{
    if (bank->empty != 0)
        return &bank->shared[__builtin_ctzll(bank->empty)];
    struct ml_seat *seat = bank->made < bank->limit ? new_shared(bank) : NULL;
    if (seat != NULL || bank->made == 0)
        return seat;
    do {
        bank->turn = (bank->turn + 1) % bank->made;
        seat = &bank->shared[bank->turn];
    } while (seat == bank->running->seat && bank->made > 1);
    return seat;
}

int ml_bank_bind(struct ml_bank *bank, struct ml_coro *coro, enum ml_coro_stack kind)
{
    ML_CHECK(coro->seat == NULL);
    bool own = kind == ML_STACK_PRIVATE || bank->all_private;
    coro->seat = own ? new_private(bank) : choose_shared(bank);
    if (coro->seat == NULL)
        return -ENOMEM;
    if (ML_HAS_TSAN)
        coro->seat->stack.fiber = ml_fiber_renew(coro->seat->stack.fiber);
    return 0;
}

static void free_copy(struct ml_bank *bank, struct ml_coro *coro)
{
    if (ml_likely(bank->reserve.blocks == 0) ||
        !ml_reserve_give_back(&bank->reserve, coro->copy, coro->copy_size))
        ml_pool_realloc(bank->pool, coro->copy, coro->copy_size, 0);
    coro->copy = NULL;
    coro->copy_size = 0;
}

/* A copy's memory is given back as soon as the frames are in place again, so that the next copy
 * gets memory that is warm in the cache. */
static int copy_out(struct ml_bank *bank, struct ml_coro *coro)
{
    size_t size = (size_t)(ml_stack_top(&coro->seat->stack) - (char *)coro->sp);
    coro->copy = ml_pool_realloc(bank->pool, NULL, 0, size);
    if (ml_unlikely(coro->copy == NULL))
        coro->copy = ml_reserve_take(&bank->reserve, size);
    if (ml_unlikely(coro->copy == NULL))
        return -ENOMEM;
    memcpy(coro->copy, coro->sp, size);
    coro->copy_size = (uint32_t)size;
    bank->copies++;
    bank->copied_bytes += size;
    if (ML_IS_HOSTILE)
        memset(coro->sp, POISON, size);
    set_occupant(bank, coro->seat, NULL);
    return 0;
}

static void copy_in(struct ml_bank *bank, struct ml_coro *coro)
{
    memcpy(coro->sp, coro->copy, coro->copy_size);
    free_copy(bank, coro);
}

int ml_bank_bring_in(struct ml_bank *bank, struct ml_coro *coro)
{
    struct ml_seat *seat = coro->seat;
    if (seat == bank->running->seat)
        return -EAGAIN;
    if (seat->occupant != NULL && copy_out(bank, seat->occupant) != 0)
        return -ENOMEM;
    if (coro->copy_size > 0)
        copy_in(bank, coro);
    set_occupant(bank, seat, coro);
    return 0;
}

void ml_bank_unbind(struct ml_bank *bank, struct ml_coro *coro)
{
    struct ml_seat *seat = coro->seat;
    free_copy(bank, coro);
    coro->seat = NULL;
    if (seat == NULL)
        return;
    if (seat->occupant == coro)
        set_occupant(bank, seat, NULL);
    if (seat->is_private) {
        /* This one may still be under the running coroutine; those in the list are not. */
        if (bank->idle_private_count >= IDLE_PRIVATE_KEPT)
            free_private(pop_idle_private(bank));
        seat->next = bank->idle_private;
        bank->idle_private = seat;
        bank->idle_private_count++;
    }
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t ml_bank_high_water(const struct ml_bank *bank)
{
    size_t deepest = 0;
    for (unsigned i = 0; i < bank->made; i++)
        deepest = larger(deepest, ml_stack_high_water(&bank->shared[i].stack));
    return deepest;
}
