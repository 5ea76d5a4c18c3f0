#include "bindings/inspect/dump.h"

#include "bindings/inspect/task_groups.h"
#include "bindings/inspect/task_walk.h"
#include "bindings/inspect/wait_graph.h"

#include <lauxlib.h>

/* The most groups of a dump. */
enum { MOST_GROUPS = 1000 };

static void write_summary(const struct ml_dump *dump, const unsigned *counts)
{
    static const char *const names[] = {[ML_TASK_NEW] = "new",
                                        [ML_TASK_READY] = "ready",
                                        [ML_TASK_RUNNING] = "running",
                                        [ML_TASK_WAITING] = "waiting"};
    unsigned all = 0, told = 0;
    for (int state = ML_TASK_NEW; state < ML_TASK_ENDED; state++)
        all += counts[state];
    ml_text_write(&dump->sink, "%u task%s", all, all == 1 ? "" : "s");
    for (int state = ML_TASK_NEW; state < ML_TASK_ENDED; state++)
        if (counts[state] > 0)
            ml_text_write(&dump->sink, "%s%u %s", told++ == 0 ? ": " : ", ", counts[state],
                          names[state]);
    ml_text_write(&dump->sink, "\n");
}

/* Stack: the dump; the list of groups. */
static void write_groups(lua_State *L, struct ml_task_walk *walk,
                         const struct ml_task_groups *groups, const struct ml_dump *dump)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, groups->list);
    for (lua_Integer i = 1; i <= count; i++) {
        ml_task_walk_rest(walk);
        lua_rawgeti(L, groups->list, i);
        ml_group_text_write(L, lua_gettop(L), &dump->sink);
        lua_pop(L, 1);
    }
    if (groups->left > 0)
        ml_text_write(&dump->sink, "\n%lld more task%s not told here\n", (long long)groups->left,
                      groups->left == 1 ? " is" : "s are");
}

static void write_left_deadlocks(lua_Integer count, const struct ml_dump *dump)
{
    if (count > 0)
        ml_text_write(&dump->sink, "\n%lld more deadlock%s not told here\n", (long long)count,
                      count == 1 ? " is" : "s are");
}

static void write_deadlocks(lua_State *L, struct ml_task_walk *walk, const struct ml_dump *dump)
{
    struct ml_wait_counts counts = ml_wait_graph_push(L, 0, ML_WALK_SLICE);
    int list = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; i <= count; i++) {
        ml_task_walk_rest(walk);
        lua_rawgeti(L, list, i);
        ml_deadlock_text_write(L, lua_gettop(L), &dump->sink);
        lua_settop(L, list);
    }
    write_left_deadlocks(counts.deadlocks - count, dump);
    lua_settop(L, list - 2);
}

int ml_dump_write(lua_State *L)
{
    const struct ml_dump *dump = lua_touserdata(L, 1);
    struct ml_task_walk walk = ml_task_walk(L, ML_WALK_SLICE);
    struct ml_task_groups groups = ml_task_groups_push(L, MOST_GROUPS, false);
    unsigned counts[ML_TASK_ENDED + 1] = {0};
    struct ml_lua_task *task;
    while ((task = ml_task_walk_next(&walk)) != NULL) {
        if (task == dump->without)
            continue;
        counts[task->task.state]++;
        ml_task_groups_add(L, &groups, task, dump->place);
    }
    write_summary(dump, counts);
    write_groups(L, &walk, &groups, dump);
    write_deadlocks(L, &walk, dump);
    return 0;
}

void ml_dump_write_failure(const struct ml_dump *dump)
{
    ml_text_write(&dump->sink, "not enough memory to tell of all tasks\n");
}

void ml_dump_write_aside(struct ml_lua *lua, struct ml_dump *dump)
{
    lua_State *L = lua->aside;
    int top = lua_gettop(L);
    bool has_room = lua_checkstack(L, 2);
    if (has_room) {
        lua_pushcfunction(L, ml_dump_write);
        lua_pushlightuserdata(L, dump);
    }
    if (!has_room || lua_pcall(L, 1, 0, 0) != LUA_OK)
        ml_dump_write_failure(dump);
    lua_settop(L, top);
}
