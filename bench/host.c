/*
 * What a host in C pays: the switch between two tasks of C beside the bare switch, a runtime's
 * life, a step with nothing to do. The best of many short runs, taken in turn, one line of JSON for
 * each figure.
 *
 * Usage: host [RUNS]    (100 without)
 */
#include "moonlet.h"

#include "base/check.h"
#include "base/clock.h"
#include "common/players.h"

#include <stdio.h>
#include <stdlib.h>

enum { SWITCHES = 200000, LIVES = 10, STEPS = 10000 };

static double time_bare_switch(void)
{
    return time_pair(SWITCHES, ping_pong);
}

static int yield_often(struct moonlet *m, void *argument)
{
    (void)argument;
    for (long i = 0; i < SWITCHES / 2; i++)
        moonlet_yield(m);
    return 0;
}

static double time_task_switch(void)
{
    struct moonlet *m = moonlet_create(NULL);
    ML_CHECK(m != NULL);
    moonlet_spawn(m, NULL, yield_often, NULL, NULL);
    moonlet_spawn(m, NULL, yield_often, NULL, NULL);
    ml_time begin = ml_clock_now();
    moonlet_run(m);
    double span = (double)(ml_clock_now() - begin);
    moonlet_close(m);
    return span / SWITCHES;
}

static double time_life(void)
{
    ml_time begin = ml_clock_now();
    for (int i = 0; i < LIVES; i++)
        moonlet_close(moonlet_create(NULL));
    return (double)(ml_clock_now() - begin) / LIVES;
}

static double time_idle_step(void)
{
    struct moonlet *m = moonlet_create(NULL);
    ML_CHECK(m != NULL);
    ml_time begin = ml_clock_now();
    for (int i = 0; i < STEPS; i++)
        moonlet_step(m, 0, 0);
    double span = (double)(ml_clock_now() - begin);
    moonlet_close(m);
    return span / STEPS;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        double (*measure)(void);
    } figures[] = {{"bare_switch", time_bare_switch},
                   {"task_switch", time_task_switch},
                   {"create_and_close", time_life},
                   {"idle_step", time_idle_step}};
    enum { COUNT = sizeof figures / sizeof *figures };
    double best[COUNT];
    int runs = argc > 1 ? atoi(argv[1]) : 100;
    for (int run = 0; run < runs; run++)
        for (int i = 0; i < COUNT; i++) {
            double span = figures[i].measure();
            best[i] = run == 0 || span < best[i] ? span : best[i];
        }
    for (int i = 0; i < COUNT; i++)
        printf("{\"name\": \"%s\", \"ns\": %.1f}\n", figures[i].name, best[i]);
    return EXIT_SUCCESS;
}
