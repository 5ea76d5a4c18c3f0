#include "bindings/http/ws_tasks.h"

#include "base/check.h"
#include "bindings/core/blocking.h"
#include "bindings/core/job.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/object.h"
#include "http/ws_pings.h"
#include "http/ws_receive.h"
#include "http/ws_worker.h"

/* Keys of the registry: the struct ml_ws_pings of the runtime; a table number -> WebSocket with
 * weak values. */
static const char pings_key = 0, pinged_key = 0;

/* ---- the worker ---- */

/* Stack: a function and its arguments, `count` values, from index 1 on. */
static void spawn(lua_State *L, const char *name, int count)
{
    const struct ml_lua_spawn options = {
        .name = name, .name_index = 1, .is_daemon = true, .is_quiet = true};
    lua_pushstring(L, name);
    lua_insert(L, 1);
    ml_lua_spawn(L, &options, count);
}

/* The worker's task: sends the queue and ends the closing handshake. */
static void work(lua_State *L)
{
    struct ml_websocket *ws = ml_to_object(L, 1);
    ml_blocking_begin(L);
    ml_websocket_work(ws);
    ml_blocking_end(L, 0);
}

static void drop_work(lua_State *L)
{
    ml_websocket_forgo_work(ml_to_object(L, 1));
}

/* Stack: the WebSocket. */
static int spawn_worker(lua_State *L)
{
    static const struct ml_lua_job job = {work, drop_work};
    lua_settop(L, 1);
    lua_pushcfunction(L, ml_job_body);
    lua_pushlightuserdata(L, (void *)&job);
    lua_rotate(L, 1, 2);
    spawn(L, "websocket", 3);
    return 0;
}

/* Calls the function with the value at `index`; 0: without one. False: there was no memory. */
static bool try_to(lua_State *L, lua_CFunction function, int index)
{
    lua_pushcfunction(L, function);
    if (index != 0)
        lua_pushvalue(L, index);
    bool is_done = lua_pcall(L, index != 0, 0, 0) == LUA_OK;
    if (!is_done)
        lua_pop(L, 1);
    return is_done;
}

static int spawn_pinger(lua_State *L);

void ml_ws_tend(lua_State *L, struct ml_websocket *ws, int index)
{
    if (ml_unlikely(ws->wants_worker && !ws->has_worker)) {
        ws->has_worker = true;
        if (!try_to(L, spawn_worker, index))
            ml_websocket_release(ws);
    }
    struct ml_ws_pings *pings = ws->pings;
    if (pings != NULL && ml_unlikely(!ml_ws_pings_have_task(pings)))
        try_to(L, spawn_pinger, 0);
}

/* ---- pings ---- */

static struct ml_ws_pings *find_pings(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pings_key);
    struct ml_ws_pings *pings = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return pings;
}

/* Visits the WebSocket of a number that was taken out. Stack: table number -> WebSocket. */
static void ping_one(lua_State *L, struct ml_ws_pings *pings, uint32_t number)
{
    ml_time again = ML_FOREVER;
    if (lua_rawgeti(L, 1, (lua_Integer)number + 1) == LUA_TUSERDATA) {
        struct ml_websocket *ws = ml_to_object(L, 2);
        ml_blocking_begin(L);
        again = ml_websocket_tend(ws);
        ml_blocking_end(L, 0);
        ml_ws_tend(L, ws, 2);
    }
    ml_ws_pings_again(pings, number, again);
    lua_settop(L, 1);
}

/* The task that pings WebSockets from which no task receives: one per runtime, while a WebSocket is
 * open. */
static int ping(lua_State *L)
{
    struct ml_ws_pings *pings = find_pings(L);
    uint32_t number;
    int result = 0;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pinged_key);
    while (result == 0) {
        ml_blocking_begin(L);
        result = ml_ws_pings_next(pings, &number);
        ml_blocking_end(L, 0);
        if (result == 0)
            ping_one(L, pings, number);
    }
    ml_blocking_end(L, result < 0 ? result : 0);
    return 0;
}

static int spawn_pinger(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushcfunction(L, ping);
    spawn(L, "pings of WebSockets", 1);
    ml_ws_pings_set_task(find_pings(L), &ml_check_task(L, -1)->task);
    return 0;
}

void ml_ws_begin_pings(lua_State *L, struct ml_websocket *ws)
{
    if (ws->options.ping_interval == ML_FOREVER)
        return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pinged_key);
    lua_pushvalue(L, -2);
    struct ml_ws_pings *pings = find_pings(L);
    uint32_t number;
    int error = ml_ws_pings_prepare(pings, &number);
    if (error == 0) {
        lua_rawseti(L, -2, (lua_Integer)number + 1);
        error = ml_ws_pings_add(pings, ml_ws_next_visit(ws));
    }
    if (error != 0) {
        ml_websocket_release(ws);
        luaL_error(L, "not enough memory");
    }
    ws->pings = pings;
    lua_pop(L, 1);
    ml_ws_tend(L, ws, lua_gettop(L));
}

static int release_pings(lua_State *L)
{
    ml_ws_pings_release(lua_touserdata(L, 1));
    return 0;
}

/* Stack: an object, and above it a value. Gives the object a metatable whose `field` is the value,
 * and moves the object to the registry. */
static void keep(lua_State *L, const char *field, const char *key)
{
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, field);
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void ml_ws_open_pings(lua_State *L)
{
    struct ml_ws_pings *pings = lua_newuserdatauv(L, sizeof *pings, 0);
    ml_ws_pings_init(pings, &ml_lua_of(L)->hub);
    lua_pushcfunction(L, release_pings);
    keep(L, "__gc", &pings_key);
    lua_newtable(L);
    lua_pushliteral(L, "v");
    keep(L, "__mode", &pinged_key);
}
