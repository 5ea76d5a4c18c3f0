/*
 * Coroutines without tasks, Lua or an event loop, that play ball: each switches to its peer, as a
 * scheduler does. Knows nothing of what a switch is compared with.
 */
#ifndef BENCH_PLAYERS_H
#define BENCH_PLAYERS_H

#include "base/check.h"
#include "coro/bank.h"
#include "coro/coro.h"

struct player {
    struct ml_coro coro;
    struct player *peer;
    long left; /* turns */
};

/* The stacks of all players, between open_bank() and close_bank(). */
extern struct ml_bank bank;

void open_bank(unsigned stacks);
void close_bank(void);

static inline void start_player(struct player *player, ml_coro_entry *entry)
{
    ML_CHECK(ml_coro_start(&bank, &player->coro, ML_STACK_SHARED, entry, player) == 0);
}

/* What a scheduler does at each switch. */
static inline void go_to(struct player *player)
{
    ML_CHECK(ml_bank_place(&bank, &player->coro) == 0);
    ml_coro_switch(&bank, &player->coro);
}

/* An entry: to the peer and back until no turn is left, then to the origin. */
void ping_pong(void *player);

/* Nanoseconds a switch of two players, each on a stack of its own, the first with ping_pong() as
 * its entry. */
double time_pair(long switches, ml_coro_entry *other);

#endif
