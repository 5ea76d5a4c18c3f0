/*
 * A game's loop at 60 frames a second. Its actors are scripts that read from top to bottom and
 * wait: for a time, or for something to happen. Time is the game's: it can stand still, and go
 * slowly. (Here it does not wait for a real screen, so that 5 seconds of the game pass at once.)
 */
#include "moonlet.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

static const char actors[] =
    "local task, sync = require 'moonlet.task', require 'moonlet.sync'\n"
    "local door = sync.event()\n"
    "task.spawn({ name = 'guard' }, function()\n"
    "  for round = 1, 2 do say('guard', 'walks round ' .. round) task.sleep(1) end\n"
    "  say('guard', 'opens the door') door:set()\n"
    "end)\n"
    "task.spawn({ name = 'thief' }, function()\n"
    "  if not door:wait(1.5) then say('thief', 'is bored') end\n"
    "  door:wait() say('thief', 'slips in')\n"
    "  task.sleep(0.5) say('thief', 'is gone')\n"
    "end)\n";

struct game {
    double time;  /* seconds, as the actors see them */
    double speed; /* 0: paused; below 1: slow motion */
    int frame;
};

static double game_time(void *context)
{
    return ((struct game *)context)->time;
}

/* say(who, what); upvalue: the game. */
static int say(lua_State *L)
{
    const struct game *game = lua_touserdata(L, lua_upvalueindex(1));
    printf("frame %3d, %.2f s: the %s %s\n", game->frame, game->time, luaL_checkstring(L, 1),
           luaL_checkstring(L, 2));
    return 0;
}

/* The player pauses for a second, and later has half a second of slow motion. */
static void play(struct game *game)
{
    if (game->frame == 30 || game->frame == 90)
        game->speed = game->frame == 30 ? 0 : 1;
    if (game->frame == 180 || game->frame == 210)
        game->speed = game->frame == 180 ? 0.25 : 1;
    if (game->frame == 30 || game->frame == 180)
        printf("frame %3d: %s\n", game->frame, game->speed > 0 ? "slow motion" : "pause");
}

int main(void)
{
    struct game game = {.speed = 1};
    struct moonlet_options options = {.clock = game_time, .clock_context = &game};
    struct moonlet *m = moonlet_create(&options);
    if (m == NULL)
        return 1;
    lua_pushlightuserdata(moonlet_lua(m), &game);
    lua_pushcclosure(moonlet_lua(m), say, 1);
    lua_setglobal(moonlet_lua(m), "say");
    int left = moonlet_load_string(m, actors, "=actors");
    if (left == 0)
        left = moonlet_start(m);
    for (left = left == 0 ? 1 : left; left > 0 && game.frame < 300; game.frame++) {
        play(&game);
        game.time += game.speed / 60;
        left = moonlet_step(m, 0, 0.005); /* 5 ms of each frame are the actors' */
        /* Here the frame is drawn. */
    }
    printf("after frame %d %s\n", game.frame, left == 0 ? "all actors are done" : "some are left");
    moonlet_close(m);
    return left != 0;
}
