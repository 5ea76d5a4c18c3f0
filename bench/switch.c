/*
 * What a bare coroutine costs, without tasks, Lua or an event loop: nanoseconds, the best of
 * several runs, one line of JSON for each figure. Judge a switch by what a task pays as well: a
 * bare loop flatters what spoils the return predictor elsewhere.
 *
 * Usage: switch [MILLIONS]    (of switches in each run; 10 without)
 */
#include "base/clock.h"
#include "common/players.h"
#include "coro/coro.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 5 };

/* ping_pong() from other code: what returns from the switch is then never where the last call was.
 */
static void pong_ping(void *argument)
{
    struct player *self = argument;
    for (;;)
        go_to(self->peer);
}

static double time_in_place(long count)
{
    return time_pair(count, ping_pong);
}

static double time_two_callers(long count)
{
    return time_pair(count, pong_ping);
}

static void end_at_once(void *argument)
{
    (void)argument;
    ml_coro_exit(&bank, &bank.origin);
}

/* One empty coroutine after the other, from the first instruction to the last. */
static double time_start_and_exit(long count)
{
    open_bank(0);
    struct player one = {0};
    ml_time begin = ml_clock_now();
    for (long i = 0; i < count; i++) {
        start_player(&one, end_at_once);
        go_to(&one);
    }
    double span = (double)(ml_clock_now() - begin);
    close_bank();
    return span / (double)count;
}

/* Holds as much as a sleeping task does: about 800 bytes of C stack. */
static void sit(void *argument)
{
    (void)argument;
    char frames[640];
    for (;;) {
        __asm__ volatile("" : : "r"(frames) : "memory");
        ml_coro_switch(&bank, &bank.origin);
    }
}

/* Two coroutines on one stack: each turn moves one's frames out and the other's in. */
static double time_with_copy(long count)
{
    open_bank(1);
    struct player players[2] = {0};
    start_player(&players[0], sit);
    start_player(&players[1], sit);
    ml_time begin = ml_clock_now();
    for (long i = 0; i < count; i++)
        go_to(&players[i % 2]);
    double span = (double)(ml_clock_now() - begin);
    ML_CHECK(bank.copies >= (uint64_t)count);
    ml_coro_drop(&bank, &players[0].coro);
    ml_coro_drop(&bank, &players[1].coro);
    close_bank();
    return span / (double)count;
}

static void print_best(const char *name, double (*measure)(long), long count)
{
    double best = measure(count);
    for (int run = 1; run < RUNS; run++) {
        double span = measure(count);
        best = span < best ? span : best;
    }
    printf("{\"name\": \"%s\", \"ns\": %.2f}\n", name, best);
}

int main(int argc, char **argv)
{
    long count = (argc > 1 ? atol(argv[1]) : 10) * 1000000;
    if (count <= 0 || ml_tools_need_private_stacks()) {
        fprintf(stderr, "usage: switch [MILLIONS], not under a sanitizer or Valgrind\n");
        return EXIT_FAILURE;
    }
    print_best("switch_in_place", time_in_place, count);
    print_best("switch_in_place_two_callers", time_two_callers, count);
    print_best("start_and_exit", time_start_and_exit, count);
    print_best("switch_with_copy", time_with_copy, count / 10);
    return EXIT_SUCCESS;
}
