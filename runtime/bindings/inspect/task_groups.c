#include "bindings/inspect/task_groups.h"

#include "bindings/inspect/frames.h"
#include "bindings/inspect/holders.h"

#include <lauxlib.h>

struct ml_task_groups ml_task_groups_push(lua_State *L, int limit, bool by_target)
{
    luaL_checkstack(L, 10, NULL);
    lua_newtable(L);
    lua_newtable(L);
    ml_frames_push_names(L);
    int top = lua_gettop(L);
    return (struct ml_task_groups){
        .list = top - 2, .places = top - 1, .names = top, .limit = limit, .by_target = by_target};
}

/* The number of what it waits for. */
static uint64_t target_of(struct ml_lua *lua, const struct ml_task *task)
{
    const struct ml_task *holder = ml_holder_of(lua, task);
    return holder != NULL ? holder->id : task->waits_on;
}

/* The number that tasks of a group share. */
static lua_Integer key_of(const struct ml_task_groups *groups, const struct ml_lua_task *task,
                          struct ml_frames frames)
{
    const struct ml_task *base = &task->task;
    bool waits = ml_task_wait_text(base) != NULL;
    uint64_t hash = ml_frames_hash(task, frames);
    hash = hash * 31 + base->state;
    hash = hash * 31 + task->source_line;
    hash = hash * 31 + (waits ? (uintptr_t)base->waits_for : 0);
    bool has_target = waits && groups->by_target;
    hash = hash * 31 + (has_target ? target_of(base->hub->owner, base) : 0);
    return (lua_Integer)hash;
}

/* Stack: an entry, a group; the entry's field goes to the group. */
static void move_field(lua_State *L, const char *name)
{
    lua_getfield(L, -2, name);
    lua_setfield(L, -2, name);
    lua_pushnil(L);
    lua_setfield(L, -3, name);
}

/* Stack: the entry of the first task of a new group. Pushes the group. */
static void push_group(lua_State *L, const struct ml_task_groups *groups, lua_Integer key)
{
    static const char *const shared[] = {"state", "waits_for", "spawned", "stack"};
    lua_createtable(L, 0, 6);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        move_field(L, shared[i]);
    lua_newtable(L);
    lua_setfield(L, -2, "tasks");
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "count");
    lua_pushvalue(L, -1);
    lua_rawseti(L, groups->list, (lua_Integer)lua_rawlen(L, groups->list) + 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, groups->places, key);
}

/* Pushes the count of the group on top of the stack, with the next task; returns it. */
static lua_Integer count_up(lua_State *L)
{
    lua_getfield(L, -1, "count");
    lua_Integer count = lua_tointeger(L, -1) + 1;
    lua_pop(L, 1);
    lua_pushinteger(L, count);
    lua_setfield(L, -2, "count");
    return count;
}

/* Stack: an entry, its group. */
static void list_entry(lua_State *L, lua_Integer count)
{
    lua_getfield(L, -1, "tasks");
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, count);
    lua_pop(L, 1);
}

/* Stack: the group. Adds a further task to it. */
static void add_to_group(lua_State *L, struct ml_lua_task *task, struct ml_dump_place place)
{
    static const char *const shared[] = {"state", "waits_for", "spawned"};
    lua_Integer count = count_up(L);
    if (count > ML_GROUP_TASKS)
        return;
    ml_task_entry_push(L, task, place, 0);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, shared[i]);
    }
    lua_insert(L, -2);
    list_entry(L, count);
}

void ml_task_groups_add(lua_State *L, struct ml_task_groups *groups, struct ml_lua_task *task,
                        struct ml_dump_place place)
{
    int top = lua_gettop(L);
    bool runs = task->task.hub->current == &task->task && place.running != NULL;
    lua_Integer key =
        key_of(groups, task, ml_frames(task, runs ? place.running : NULL, runs ? place.level : 0));
    luaL_checkstack(L, 8, NULL);
    if (lua_rawgeti(L, groups->places, key) == LUA_TTABLE) {
        add_to_group(L, task, place);
    } else if (lua_rawlen(L, groups->list) >= (size_t)groups->limit) {
        groups->left++;
    } else {
        ml_task_entry_push(L, task, place, groups->names);
        push_group(L, groups, key);
        list_entry(L, count_up(L));
    }
    lua_settop(L, top);
}
