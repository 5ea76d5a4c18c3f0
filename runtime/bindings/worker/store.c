/*** @submodule moonlet.worker */
#include "bindings/worker/store.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_worker.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/core/time_limit.h"
#include "bindings/worker/store_open.h"
#include "bindings/worker/store_value.h"
#include "hub/wait/wait.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* One call of a method: everything that its loop around the lock needs. */
struct call {
    lua_State *L;
    struct ml_store *store;
    struct ml_span key;
    struct ml_hub *hub;
    ml_time now;
    ml_time pause; /* of the next wait for the lock */
};

/* The shortest and the longest wait for a shard that another process has locked. */
enum { FIRST_PAUSE = 50 * 1000, LONGEST_PAUSE = 2 * 1000 * 1000 };

static void open_call(lua_State *L, struct call *call)
{
    struct ml_store_object *object = ml_check_object(L, 1, ml_store_type);
    call->L = L;
    call->store = object->store;
    call->hub = &ml_lua_of(L)->hub;
    call->now = ml_hub_now(call->hub);
    call->pause = FIRST_PAUSE;
}

/* With a key, a string at 2. */
static void open_keyed_call(lua_State *L, struct call *call)
{
    open_call(L, call);
    luaL_checktype(L, 2, LUA_TSTRING);
    call->key.bytes = lua_tolstring(L, 2, &call->key.size);
    luaL_argcheck(L, call->key.size <= ML_STORE_LONGEST_KEY, 2, "key is longer than 4096 bytes");
}

/*
 * Whether a call that has returned `error` is to be made again: another process had the shard
 * locked for long, and this task has waited. outgoing: released before an error is raised; NULL:
 * there is none.
 */
static bool must_retry(struct call *call, int error, struct ml_outgoing *outgoing)
{
    if (ml_likely(error != -EBUSY))
        return false;
    int result = ml_blocking_begin_quietly(call->L)
                     ? ml_sleep_until(call->hub, ml_time_after(ml_hub_now(call->hub), call->pause))
                     : -ML_ENOWAIT;
    if (result != -ML_ENOWAIT)
        ml_blocking_finish(call->L);
    if (result != 0 && outgoing != NULL)
        ml_outgoing_release(outgoing);
    if (result == -ML_ENOWAIT)
        luaL_error(call->L, "%s", ml_error_text(result));
    if (result != 0)
        ml_blocking_end(call->L, result);
    call->pause = call->pause < LONGEST_PAUSE ? 2 * call->pause : LONGEST_PAUSE;
    return true;
}

static int fail(lua_State *L, int error)
{
    if (error == -ENOMEM)
        return luaL_error(L, "not enough memory");
    if (error != -ENOSPC)
        return ml_push_failure(L, error);
    luaL_pushfail(L);
    lua_pushliteral(L, "the store is full");
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

/* When a value expires that is written now: options at `index`, with `ttl` in seconds. */
static ml_time check_expiry(lua_State *L, int index, ml_time now)
{
    static const char *const names[] = {"ttl", NULL};
    if (lua_isnoneornil(L, index))
        return ML_FOREVER;
    luaL_checktype(L, index, LUA_TTABLE);
    ml_check_option_names(L, index, names);
    double ttl = 1;
    bool has_one = lua_getfield(L, index, "ttl") != LUA_TNIL;
    if (has_one)
        ttl = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    luaL_argcheck(L, ttl > 0, index, "option 'ttl' must be a positive number of seconds");
    lua_pop(L, 1);
    return has_one ? ml_time_after(now, ml_time_from_seconds(ttl)) : ML_FOREVER;
}

/***
A shared store, as `worker.store` returns it. Keys are strings of up to 4,096 bytes; values are
strings, numbers, booleans, and tables, which are copied as `moonlet.thread` copies them. Each call
is atomic over all workers. None waits, but for a moment if another worker is taken off its
processor in the middle of a call.

In Redis a call waits for the server, and any of them may return nil, message and a code of the
network's or of Redis's. Tables have neither functions nor themselves in them, and take up to 1 MiB.
@object Store
*/

/***
Returns a value.
@function Store:get
@tparam string key
@return the value; nil: there is none
*/
static int store_get(lua_State *L)
{
    struct call call;
    struct ml_store_copy copy;
    int error;
    open_keyed_call(L, &call);
    do
        error = ml_store_get(call.store, call.key, call.now, ML_STORE_RESERVE, &copy);
    while (must_retry(&call, error, NULL));
    if (error == -ENOMEM)
        return fail(L, error);
    if (error != 0) {
        lua_pushnil(L);
        return 1;
    }
    ml_push_stored(L, &copy);
    if (!lua_toboolean(L, lua_upvalueindex(1)))
        return 1;
    lua_pushinteger(L, (lua_Integer)copy.version);
    return 2;
}

static int delete_key(struct call *call, uint64_t version)
{
    int error;
    do
        error = ml_store_delete(call->store, call->key, version, call->now);
    while (must_retry(call, error, NULL));
    return error;
}

/* Writes the value at 3. */
static int put(struct call *call, const struct ml_store_write *write)
{
    struct ml_outgoing outgoing;
    ml_outgoing_make(call->L, 3, &outgoing);
    int error;
    do
        error = ml_store_put(call->store, call->key, &outgoing.value, write, call->now);
    while (must_retry(call, error, &outgoing));
    ml_outgoing_release(&outgoing);
    return error;
}

/***
Stores a value, in place of the one that is there.
@function Store:set
@tparam string key
@param value nil removes the key
@tparam[opt] table opts
@tparam[opt] number opts.ttl seconds until the value is gone; without it, it stays
@treturn boolean true; or nil, message, code: "ENOSPC" if the store is full
*/
static int store_set(lua_State *L)
{
    struct call call;
    open_keyed_call(L, &call);
    struct ml_store_write write = {.way = ML_STORE_SET, .expires = check_expiry(L, 4, call.now)};
    luaL_checkany(L, 3);
    if (lua_isnil(L, 3)) {
        delete_key(&call, 0);
        lua_pushboolean(L, 1);
        return 1;
    }
    int error = put(&call, &write);
    if (error != 0)
        return fail(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/***
Stores a value if there is none yet.
@function Store:add
@tparam string key
@param value
@tparam[opt] table opts
@tparam[opt] number opts.ttl as for set
@treturn boolean whether it was stored; or nil, message, code
*/
static int store_add(lua_State *L)
{
    struct call call;
    open_keyed_call(L, &call);
    struct ml_store_write write = {.way = ML_STORE_ADD, .expires = check_expiry(L, 4, call.now)};
    luaL_argcheck(L, !lua_isnoneornil(L, 3), 3, "value expected");
    int error = put(&call, &write);
    if (error != 0 && error != -EEXIST)
        return fail(L, error);
    lua_pushboolean(L, error == 0);
    return 1;
}

static int push_number_error(lua_State *L, const struct call *call, int error)
{
    if (error != -EINVAL && error != -ERANGE)
        return fail(L, error);
    luaL_pushfail(L);
    lua_pushfstring(L,
                    error == -EINVAL ? "the value of '%s' is not a number"
                                     : "the sum of '%s' is too large for an integer",
                    call->key.bytes);
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

static void check_number(lua_State *L, struct ml_outgoing *by)
{
    if (lua_isnoneornil(L, 3)) {
        *by = (struct ml_outgoing){.value = {.kind = ML_STORE_INTEGER, .word = 1}};
        return;
    }
    luaL_checktype(L, 3, LUA_TNUMBER);
    ml_outgoing_make(L, 3, by);
}

/***
Adds to a number. A key that is not there counts from 0.
@function Store:incr
@tparam string key
@tparam[opt=1] number n what to add; may be negative
@tparam[opt] table opts
@tparam[opt] number opts.ttl as for set, for a key that is new; another one keeps its time
@treturn number the sum; or nil, message, code: "EINVAL" if the value is not a number, "ERANGE" if
the sum is too large for an integer, "ENOSPC" if the store is full
@usage if hits:incr(address, 1, { ttl = 60 }) > 100 then return res:status(429) end
*/
static int store_incr(lua_State *L)
{
    struct call call;
    struct ml_outgoing by;
    struct ml_store_value sum;
    int error;
    open_keyed_call(L, &call);
    check_number(L, &by);
    ml_time expires = check_expiry(L, 4, call.now);
    do
        error = ml_store_add_number(call.store, call.key, &by.value, expires, call.now, &sum);
    while (must_retry(&call, error, NULL));
    if (ml_unlikely(error != 0))
        return push_number_error(L, &call, error);
    struct ml_store_copy copy = {.kind = sum.kind, .word = sum.word};
    ml_push_stored(L, &copy);
    return 1;
}

/***
Removes a key.
@function Store:delete
@tparam string key
@treturn boolean whether it was there
*/
static int store_delete(lua_State *L)
{
    struct call call;
    open_keyed_call(L, &call);
    lua_pushboolean(L, delete_key(&call, 0) == 0);
    return 1;
}

/* ---- for stdlib/moonlet/worker/store.lua ---- */

/* swap(store, key, value, version, opts): true; false: the entry has another version; or nil,
 * message, code. A value of nil deletes. */
static int store_swap(lua_State *L)
{
    struct call call;
    open_keyed_call(L, &call);
    bool has_options = !lua_isnoneornil(L, 5);
    struct ml_store_write write = {.way = ML_STORE_SWAP,
                                   .version = (uint64_t)luaL_checkinteger(L, 4),
                                   .expires = check_expiry(L, 5, call.now),
                                   .keeps_expiry = !has_options};
    int error = lua_isnil(L, 3) ? delete_key(&call, write.version) : put(&call, &write);
    if (error != 0 && error != -EAGAIN)
        return fail(L, error);
    lua_pushboolean(L, error == 0);
    return 1;
}

/* Adds the keys to the list on top of the stack. */
static int push_keys(lua_State *L)
{
    const struct ml_store_keys *keys = lua_touserdata(L, 1);
    const char *at = keys->bytes;
    lua_createtable(L, (int)keys->count, 0);
    for (uint32_t i = 1; i <= keys->count; i++) {
        uint32_t size;
        memcpy(&size, at, sizeof size);
        lua_pushlstring(L, at + sizeof size, size);
        lua_rawseti(L, -2, i);
        at += sizeof size + size;
    }
    return 1;
}

/* collect(store, prefix, position): a list of keys, and the next position; nil there: that was all
 */
static int store_collect(lua_State *L)
{
    struct call call;
    struct ml_store_keys keys = {0};
    uint64_t position = (uint64_t)luaL_checkinteger(L, 3);
    int error;
    open_call(L, &call);
    call.key.bytes = luaL_checklstring(L, 2, &call.key.size);
    do
        error = ml_store_collect(call.store, call.key, call.now, &position, &keys);
    while (must_retry(&call, error, NULL));
    lua_pushcfunction(L, push_keys);
    lua_pushlightuserdata(L, &keys);
    int status = error >= 0 ? lua_pcall(L, 1, 1, 0) : LUA_OK;
    free(keys.bytes);
    if (status != LUA_OK)
        return lua_error(L);
    if (error < 0)
        return fail(L, error);
    if (error > 0)
        lua_pushinteger(L, (lua_Integer)position);
    else
        lua_pushnil(L);
    return 2;
}

/***
How full the store is.
@function Store:usage
@treturn table `size`, `used`: bytes that values can take, and do (in Redis: its bound, nil if it
has none, and all that it uses); `keys`: how many there are, with those that have expired until
their room is needed
*/
static int store_usage(lua_State *L)
{
    struct call call;
    struct ml_store_usage usage;
    int error;
    open_call(L, &call);
    do
        error = ml_store_measure(call.store, &usage);
    while (must_retry(&call, error, NULL));
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)usage.size);
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, (lua_Integer)usage.used);
    lua_setfield(L, -2, "used");
    lua_pushinteger(L, (lua_Integer)usage.entries);
    lua_setfield(L, -2, "keys");
    return 1;
}

static void open_type(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"incr", store_incr},     {"get", store_get},     {"set", store_set}, {"add", store_add},
        {"delete", store_delete}, {"usage", store_usage}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    ml_open_object_type(L, ml_store_type, methods, none);
}

/* The module: open(), the bounds of a size, the methods' table, and what only moonlet calls. */
int ml_open_worker_store(lua_State *L)
{
    static const luaL_Reg functions[] = {{"open", ml_worker_store_open},
                                         {"swap", store_swap},
                                         {"collect", store_collect},
                                         {NULL, NULL}};
    open_type(L);
    luaL_newlib(L, functions);
    lua_pushinteger(L, (lua_Integer)ML_ARENA_SMALLEST);
    lua_setfield(L, -2, "smallest");
    lua_pushinteger(L, (lua_Integer)ML_ARENA_LARGEST);
    lua_setfield(L, -2, "largest");
    lua_pushboolean(L, 1);
    lua_pushcclosure(L, store_get, 1);
    lua_setfield(L, -2, "read"); /* get, with the version */
    luaL_getmetatable(L, ml_store_type);
    lua_getfield(L, -1, "__index");
    lua_remove(L, -2);
    lua_setfield(L, -2, "methods");
    return 1;
}
