/*** @submodule moonlet.greenlet */
/*
 * Greenlets that are out of reach. They die as Python's do: by GreenletExit, in their own task, as
 * children of the greenlet that runs there. A switch may not leave a finalizer, so the finalizer
 * only notes them. They die when their task next calls something that may switch anyway.
 */
#include "bindings/coroutine/greenlet_drop.h"

#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/object.h"
#include "bindings/coroutine/greenlet_object.h"
#include "bindings/coroutine/greenlet_switch.h"

/* Key in the registry of the list of greenlets that are about to die. */
static const char dropped_key;

void ml_greenlet_open_dropped(lua_State *L)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &dropped_key);
}

/* ---- orphans: their task has ended ---- */

/* The function of the task that ends a greenlet in place of its own. Stack: the greenlet. */
static int end_orphan(lua_State *L)
{
    struct ml_greenlet *greenlet = ml_to_object(L, 1);
    ml_greenlet_adopt(greenlet, ml_greenlet_task(L));
    greenlet->parent = NULL;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, ML_GREENLET_PARENT);
    return ml_greenlet_end(L);
}

/* Stack: the greenlet. */
static int spawn_end(lua_State *L)
{
    static const struct ml_lua_spawn options = {.name = "greenlet exit", .name_index = 2};
    lua_settop(L, 1);
    lua_pushstring(L, options.name);
    lua_pushcfunction(L, end_orphan);
    lua_pushvalue(L, 1);
    ml_lua_spawn(L, &options, 2);
    return 0;
}

/* ---- the list ---- */

/* Takes the first greenlet of the running task out of the list and pushes it; false, nothing
 * pushed: there is none. */
static bool take_dropped(lua_State *L, uint64_t task)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &dropped_key);
    int list = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, list), i = 1;
    while (i <= count && lua_rawgeti(L, list, i) == LUA_TUSERDATA &&
           ((struct ml_greenlet *)ml_to_object(L, -1))->task != task) {
        lua_pop(L, 1);
        i++;
    }
    if (i > count) {
        lua_settop(L, list - 1);
        return false;
    }
    for (; i <= count; i++) {
        lua_rawgeti(L, list, i + 1);
        lua_rawseti(L, list, i);
    }
    ml_lua_of(L)->greenlets.dropped--;
    lua_remove(L, list);
    return true;
}

int ml_greenlet_gc(lua_State *L)
{
    struct ml_greenlet *greenlet = ml_check_greenlet(L, 1);
    struct ml_lua *lua = ml_lua_of(L);
    if (ml_greenlet_is_root(greenlet) || greenlet->state != ML_GREENLET_SUSPENDED ||
        lua->is_closing)
        return 0;
    if (ml_hub_task(&lua->hub, greenlet->slot, greenlet->task) == NULL)
        return spawn_end(L);
    lua_settop(L, 1);
    luaL_setmetatable(L, ml_greenlet_type); /* one that survives may be dropped again */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &dropped_key);
    lua_insert(L, 1);
    lua_rawseti(L, 1, (lua_Integer)lua_rawlen(L, 1) + 1);
    lua->greenlets.dropped++;
    return 0;
}

/* ---- their end ---- */

/* Makes the greenlet at `index` a child of the running one, and pushes its former parent. */
static struct ml_greenlet *borrow(lua_State *L, int index, struct ml_lua_task *task)
{
    struct ml_greenlet *greenlet = ml_to_object(L, index), *parent = greenlet->parent;
    lua_getiuservalue(L, index, ML_GREENLET_PARENT);
    ml_greenlet_push_current(L, task);
    struct ml_greenlet *current = ml_to_object(L, -1);
    ml_greenlet_set_parent(L, index, lua_gettop(L), current);
    lua_pop(L, 1);
    return parent;
}

/* Warns of the error on top of the stack, which is popped. */
static void warn_of_error(lua_State *L)
{
    lua_warning(L, "error at the end of a dropped greenlet: ", 1);
    lua_warning(L, luaL_tolstring(L, -1, NULL), 0);
    lua_pop(L, 2);
}

/* Stack: ..., the greenlet, which is popped. Warns of any error that it raises but GreenletExit. */
static void end_one(lua_State *L, struct ml_lua_task *task)
{
    int index = lua_gettop(L);
    intptr_t count = ml_cancellation_count(L);
    struct ml_greenlet *greenlet = ml_to_object(L, index);
    struct ml_greenlet *parent = borrow(L, index, task);
    lua_pushcfunction(L, ml_greenlet_end);
    lua_pushvalue(L, index);
    bool has_failed = lua_pcall(L, 1, 0, 0) != LUA_OK;
    if (greenlet->state != ML_GREENLET_DEAD) { /* it survives, and gets its parent back */
        lua_pushvalue(L, index + 1);
        lua_setiuservalue(L, index, ML_GREENLET_PARENT);
        greenlet->parent = parent;
    }
    if (has_failed) {
        ml_cancellation_rethrow(L, count);
        warn_of_error(L);
    }
    lua_settop(L, index - 1);
}

/* Whether the running greenlet may be left in a call on L. */
static bool may_switch(lua_State *L, const struct ml_lua *lua)
{
    struct ml_task *task = lua->hub.current;
    return task != NULL && task->strand == ml_strand_of(L) && !ml_is_in_finalizer(L) &&
           !lua->report.is_composed && !(*ml_lua_mark(L) & ML_MARK_PARKED);
}

void ml_greenlet_kill_dropped(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    luaL_checkstack(L, 12, NULL);
    while (lua->greenlets.dropped > 0 && may_switch(L, lua)) {
        struct ml_lua_task *task = ml_lua_task_of(lua->hub.current);
        if (!take_dropped(L, task->task.id))
            return;
        end_one(L, task);
    }
}

void ml_greenlet_orphan(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_State *aside = lua->aside;
    while (!lua->is_closing && take_dropped(aside, task->task.id)) {
        lua_pushcfunction(aside, spawn_end);
        lua_insert(aside, -2);
        if (lua_pcall(aside, 1, 0, 0) != LUA_OK) {
            lua_pop(aside, 1);
            lua_warning(aside, "no memory to end a dropped greenlet", 0);
        }
    }
}

/* ---- collectgarbage ---- */

/* Checks the arguments of the stock function's options that take numbers. */
static void check_numbers(lua_State *L, int option)
{
    static const int numbers[] = {0, 0, 0, 0, 1, 1, 1, 0, 2, 3};
    for (int i = 0; i < numbers[option]; i++)
        luaL_optinteger(L, 2 + i, 0);
}

/* As in stock Lua; then greenlets that were found unreferenced die. Upvalue: the stock function,
 * which would not know its own name in errors. */
static int collect_garbage(lua_State *L)
{
    static const char *const options[] = {"stop",         "restart",     "collect",    "count",
                                          "step",         "setpause",    "setstepmul", "isrunning",
                                          "generational", "incremental", NULL};
    check_numbers(L, luaL_checkoption(L, 1, "collect", options));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    ml_blocking_attend(L);
    return lua_gettop(L);
}

void ml_greenlet_open_collectgarbage(lua_State *L)
{
    lua_getglobal(L, "collectgarbage");
    if (!lua_iscfunction(L, -1)) { /* the script has replaced it */
        lua_pop(L, 1);
        return;
    }
    lua_pushcclosure(L, collect_garbage, 1);
    lua_setglobal(L, "collectgarbage");
}
