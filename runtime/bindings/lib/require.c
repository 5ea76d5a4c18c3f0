/*
 * `require` as stock Lua has it, for tasks: while one loads a module, others that require it wait
 * until it is loaded. Otherwise each would load a module of its own. A task that requires a module
 * that it is loading itself loads it again, as in stock Lua. If two tasks would wait for each
 * other, that is an error.
 */
#include "bindings/lib/require.h"

#include "bindings/core/blocking.h"
#include "bindings/core/object.h"
#include "bindings/core/weak_table.h"
#include "hub/on/sync_primitives.h"

#include <errno.h>
#include <lualib.h>
#include <string.h>

static const char loading_type[] = "moonlet.loading";
static const char over_type[] = "moonlet.loading.over";

/* Keys in the registry. loads: name -> the loading under way, held weakly, so that the collector
 * ends the loading of a dropped coroutine. waits: number of a task -> the name of the module it
 * waits for. */
static const char loads_key, waits_key;

const struct ml_wait_kind ml_module_kind = {.text = "a module that is loaded by task",
                                            .target = ML_TARGET_TASK};

/* The loading of a module; user values: its name, and the event of its end, which waiting tasks
 * keep alive. */
struct loading {
    uint64_t task; /* number of the loading task */
    bool is_own;   /* the module is moonlet's: counted in lua->own_loads */
    bool is_over;
};

enum { LOADING_NAME = 1, LOADING_OVER = 2 };

/* The event of its end. */
struct over {
    struct ml_event event;
    uint64_t task; /* the loading one, for reports */
    uint32_t slot;
    bool is_loop; /* a task that waits for it is in a loop of tasks that wait for each other's
                     modules */
};

/* The stack of the call. */
enum { NAME = 1, LOADED = 2, LOADING = 3, SEARCHERS = 4, MESSAGE = 5 };

/* ---- one at a time ---- */

/* Replaces the name on top with the loading of that module; NULL and nil: there is none. */
static struct loading *find_loading(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loads_key);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return lua_isnil(L, -1) ? NULL : ml_to_object(L, -1);
}

/* Sets the entry of the table at the registry's key for the key on top, which is popped, to
 * `value`, an index or 0 for nil. */
static void note(lua_State *L, const void *table, int value)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, table);
    lua_insert(L, -2);
    if (value != 0)
        lua_pushvalue(L, value);
    else
        lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Ends the loading, however it went: on close, and in the finalizer of a dropped one. */
static int end_loading(lua_State *L)
{
    struct loading *loading = ml_check_object(L, 1, loading_type);
    if (loading->is_over)
        return 0;
    loading->is_over = true;
    ml_lua_of(L)->own_loads -= loading->is_own;
    lua_getiuservalue(L, 1, LOADING_NAME);
    lua_pushvalue(L, -1);
    if (find_loading(L) == loading) {
        lua_pop(L, 1);
        note(L, &loads_key, 0);
    }
    lua_getiuservalue(L, 1, LOADING_OVER);
    if (!ml_lua_of(L)->is_closing)
        ml_event_set(&ml_lua_of(L)->hub, &((struct over *)ml_to_object(L, -1))->event);
    return 0;
}

static bool is_own(const char *name)
{
    static const char prefix[] = "moonlet.";
    return strncmp(name, prefix, sizeof prefix - 1) == 0;
}

/* Puts the object that makes others wait at LOADING, unless the task is loading that module
 * already. */
static void begin_loading(lua_State *L, const struct ml_task *task)
{
    struct loading *loading = ml_push_object(L, loading_type, sizeof *loading, 2);
    loading->task = task->id;
    loading->is_over = true; /* until it is complete */
    lua_pushvalue(L, NAME);
    lua_setiuservalue(L, LOADING, LOADING_NAME);
    struct over *over = ml_push_object(L, over_type, sizeof *over, 0);
    ml_event_init(&over->event);
    over->task = task->id;
    over->slot = task->waiter.slot;
    lua_setiuservalue(L, LOADING, LOADING_OVER);
    loading->is_over = false;
    loading->is_own = is_own(lua_tostring(L, NAME));
    ml_lua_of(L)->own_loads += loading->is_own;
    lua_toclose(L, LOADING);
    lua_pushvalue(L, NAME);
    note(L, &loads_key, LOADING);
}

struct ml_task *ml_module_loader(const struct ml_task *task)
{
    const struct over *over = ml_container_of(task->queue, struct over, event.waiters);
    return ml_hub_task(task->hub, over->slot, over->task);
}

/* The event of the loading on top of the stack. */
static struct over *over_of(lua_State *L)
{
    lua_getiuservalue(L, -1, LOADING_OVER);
    struct over *over = ml_to_object(L, -1);
    lua_pop(L, 1);
    return over;
}

/* Whether the loading task waits, perhaps by way of others, for a module that the task `self` is
 * loading. `marks`: if so, marks the loadings on the way as a loop. */
static bool waits_for(lua_State *L, const struct loading *loading, uint64_t self, bool marks)
{
    int top = lua_gettop(L);
    while (loading != NULL && loading->task != self) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &waits_key);
        lua_rawgeti(L, -1, (lua_Integer)loading->task);
        loading = lua_isnil(L, -1) ? NULL : find_loading(L);
        if (loading != NULL && marks)
            over_of(L)->is_loop = true;
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
    return loading != NULL;
}

static void raise_loop(lua_State *L, uint32_t other)
{
    luaL_error(L,
               "loop in require: module '%s' is loaded by task #%d, which requires one that this "
               "task loads",
               lua_tostring(L, NAME), (int)other);
}

/* Waits until the loading on top of the stack, which is popped, is over. */
static void await(lua_State *L, const struct loading *loading)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    lua_Integer self = (lua_Integer)hub->current->id;
    uint32_t other = (uint32_t)loading->task;
    if (waits_for(L, loading, hub->current->id, false)) {
        waits_for(L, loading, hub->current->id, true);
        raise_loop(L, other);
    }
    lua_getiuservalue(L, -1, LOADING_OVER);
    lua_remove(L, -2);
    struct over *over = ml_to_object(L, -1);
    ml_blocking_begin(L); /* raises where waiting is forbidden, before anything is noted */
    ml_blocking_finish(L);
    lua_pushinteger(L, self);
    note(L, &waits_key, NAME);
    ml_blocking_begin(L);
    int error = ml_wait_granted(hub, &ml_module_kind, other, &over->event.waiters, 0, ML_FOREVER);
    lua_pushinteger(L, self);
    note(L, &waits_key, 0);
    ml_blocking_end(L, error);
    if (over->is_loop)
        raise_loop(L, other);
    lua_pop(L, 1);
}

/* Whether package.loaded has the module, which is pushed then. */
static bool is_loaded(lua_State *L)
{
    lua_pushvalue(L, NAME);
    lua_gettable(L, LOADED);
    if (lua_toboolean(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

/* Waits until no other task loads the module. True: it is loaded, and on top of the stack. False:
 * the others wait for this task. */
static bool take_turn(lua_State *L)
{
    const struct ml_task *task = ml_lua_of(L)->hub.current;
    const struct loading *loading = NULL;
    bool is_there = is_loaded(L);
    while (!is_there && task != NULL) {
        lua_pushvalue(L, NAME);
        loading = find_loading(L);
        if (loading == NULL || loading->task == task->id)
            break;
        await(L, loading);
        is_there = is_loaded(L);
    }
    if (is_there)
        return true;
    lua_settop(L, LOADED);
    if (loading == NULL && task != NULL)
        begin_loading(L, task);
    lua_settop(L, LOADING);
    return false;
}

/* ---- as in stock Lua ---- */

/* Pushes the loader of the module and its second argument. Upvalue: package. */
static void find_loader(lua_State *L)
{
    if (lua_getfield(L, lua_upvalueindex(1), "searchers") != LUA_TTABLE)
        luaL_error(L, "'package.searchers' must be a table");
    lua_pushliteral(L, "");
    for (lua_Integer i = 1;; i++) {
        if (lua_rawgeti(L, SEARCHERS, i) == LUA_TNIL)
            luaL_error(L, "module '%s' not found:%s", lua_tostring(L, NAME),
                       lua_tostring(L, MESSAGE));
        lua_pushvalue(L, NAME);
        lua_call(L, 1, 2);
        if (lua_isfunction(L, -2))
            return;
        lua_pop(L, 1);
        if (lua_isstring(L, -1))
            lua_pushfstring(L, "%s\n\t%s", lua_tostring(L, MESSAGE), lua_tostring(L, -1));
        else
            lua_pushvalue(L, MESSAGE);
        lua_replace(L, MESSAGE);
        lua_settop(L, MESSAGE);
    }
}

/* Stack: ..., the result of the loader. Stores it as the module, unless it is nil; pushes the
 * module. */
static void keep_module(lua_State *L)
{
    lua_pushvalue(L, NAME);
    lua_insert(L, -2);
    if (!lua_isnil(L, -1))
        lua_settable(L, LOADED);
    else
        lua_pop(L, 2);
    lua_pushvalue(L, NAME);
    if (lua_gettable(L, LOADED) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    lua_pushvalue(L, NAME);
    lua_pushboolean(L, 1);
    lua_settable(L, LOADED);
    lua_pushboolean(L, 1);
}

static int require(lua_State *L)
{
    luaL_checkstring(L, NAME);
    lua_settop(L, NAME);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (take_turn(L))
        return 1;
    find_loader(L);
    lua_insert(L, -2); /* the loader's data, the loader */
    lua_pushvalue(L, NAME);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 1);
    keep_module(L);
    lua_insert(L, -2);
    return 2;
}

void ml_open_require(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg loading[] = {
        {"__close", end_loading}, {"__gc", end_loading}, {NULL, NULL}};
    ml_open_object_type(L, loading_type, none, loading);
    ml_open_object_type(L, over_type, none, none);
    ml_push_weak_table(L, "v");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loads_key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &waits_key);
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_pushcclosure(L, require, 1);
    lua_setglobal(L, "require");
}
