/*
 * Two tasks and a network in memory between them, for targets that fuzz a whole connection: one
 * plays what the input says, the other is what is tested. Time is virtual.
 */
#ifndef ML_TESTS_FUZZ_HTTP_PLAYERS_H
#define ML_TESTS_FUZZ_HTTP_PLAYERS_H

#include "base/check.h"
#include "base/pool.h"
#include "hub/loop/life.h"
#include "hub/loop/run.h"
#include "hub/loop/simulation.h"
#include "hub/switch/switch.h"
#include "io/life.h"
#include "io/memory.h"

#include <stdlib.h>
#include <string.h>

enum { PLAYERS = 256, PLAYED = 256 * 1024 };

struct player {
    struct ml_task task;
    struct ml_strand body;
    void (*run)(void *context, void *argument);
    void *argument;
};

static struct {
    struct ml_pool pool;
    struct ml_hub hub;
    struct ml_io io;
    struct ml_stream tested, other;
    struct player *players[PLAYERS];
    int player_count;
    bool is_open;
    const char *said; /* by the other */
    size_t said_size;
    char heard[PLAYED];
    size_t heard_size;
} play;

static void play_task(struct ml_task *task)
{
    struct player *player = (struct player *)task; /* its first member */
    player->run(NULL, player->argument);
}

/* 0 or -ENOMEM: there are too many. */
static int play_spawn(void (*run)(void *context, void *argument), void *argument)
{
    if (play.player_count == PLAYERS)
        return -ENOMEM;
    struct player *player = calloc(1, sizeof *player);
    ML_CHECK(player != NULL);
    player->run = run;
    player->argument = argument;
    play.players[play.player_count++] = player;
    return ml_task_spawn(&play.hub, &player->task, &player->body, (struct ml_spawn_options){0});
}

/* Says all there is, ends the output, hears until the end. */
static void play_other(void *context, void *argument)
{
    size_t sent;
    struct iovec piece = {.iov_base = (void *)play.said, .iov_len = play.said_size};
    struct ml_piece_of_input in;
    (void)context, (void)argument;
    if (ml_stream_write(&play.other, &piece, 1, &sent) == 0)
        ml_stream_shutdown_write(&play.other);
    while (ml_stream_read_some(&play.other, SIZE_MAX, &in) == 0) {
        size_t room = PLAYED - play.heard_size, size = in.size < room ? in.size : room;
        memcpy(play.heard + play.heard_size, in.data, size);
        play.heard_size += size;
        ml_stream_consume(&play.other, in.taken);
    }
    ml_stream_close(&play.other);
}

/* Both to their end, at most `chunk` bytes at a time going over. */
static void play_run(void (*tested)(void *context, void *argument), const char *said, size_t size,
                     size_t chunk)
{
    struct ml_memory_options way = ML_MEMORY_DEFAULTS;
    way.chunk = chunk;
    play.said = said;
    play.said_size = size;
    play.heard_size = 0;
    ml_stream_init(&play.tested, &play.io);
    ml_stream_init(&play.other, &play.io);
    ML_CHECK(ml_memory_pair_open(&play.tested, &play.other, &way, &way) == 0);
    ML_CHECK(play_spawn(tested, NULL) == 0 && play_spawn(play_other, NULL) == 0);
    ML_CHECK(ml_hub_run(&play.hub, ML_UNTIL_ALL_ENDED, ML_FOREVER) == 0);
    ML_CHECK(!ml_stream_is_open(&play.tested) && play.hub.waits.external == 0);
    while (play.player_count > 0)
        free(play.players[--play.player_count]);
}

/* Before the first run. */
static void play_open(void)
{
    if (play.is_open)
        return;
    ml_pool_init(&play.pool);
    ML_CHECK(ml_hub_init(&play.hub, &play.pool, 0, 256 * 1024) == 0);
    play.hub.hooks.body = play_task;
    ml_io_init(&play.io, &play.hub);
    ml_simulation_set_clock(&play.hub, true);
    play.is_open = true;
}

#endif
