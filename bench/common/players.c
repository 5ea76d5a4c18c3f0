#include "common/players.h"

#include "base/clock.h"
#include "base/pool.h"
#include "coro/coro.h"

struct ml_bank bank;
static struct ml_pool pool;

void open_bank(unsigned stacks)
{
    ml_pool_init(&pool);
    ml_bank_init(&bank, &pool, stacks, 0);
    ml_bank_current = &bank;
}

void close_bank(void)
{
    ml_bank_release(&bank);
    ml_bank_current = NULL;
    ml_pool_release(&pool);
}

void ping_pong(void *player)
{
    struct player *self = player;
    while (self->left-- > 0)
        go_to(self->peer);
    ml_coro_switch(&bank, &bank.origin);
}

double time_pair(long switches, ml_coro_entry *other)
{
    open_bank(2);
    struct player a = {.left = switches / 2}, b = {.left = switches / 2, .peer = &a};
    a.peer = &b;
    start_player(&a, ping_pong);
    start_player(&b, other);
    ml_time begin = ml_clock_now();
    go_to(&a);
    double span = (double)(ml_clock_now() - begin);
    ML_CHECK(bank.copies == 0);
    ml_coro_drop(&bank, &a.coro);
    ml_coro_drop(&bank, &b.coro);
    close_bank();
    return span / (double)switches;
}
