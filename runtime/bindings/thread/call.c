/*** @submodule moonlet.thread */
#include "bindings/thread/call.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/option.h"
#include "bindings/thread/outcome.h"
#include "bindings/thread/settings.h"
#include "hub/on/thread_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char owner_type[] = "thread.call";

/* The least memory of a runtime, in bytes: below it none can be opened. */
enum { LEAST_MEMORY = 256 * 1024 };

/* A daemon may wait for it to the end of the program, which ends the thread. */
static const struct ml_wait_kind end_kind = {
    .text = "the end of a thread", .external = true, .is_lasting = true};

/* How long a caller that is cancelled waits for the end of the thread: Lua code ends at once, C
 * code may not. */
#define PATIENCE ML_SECOND

/* Owns a call while it is made and waited for: its port to the channel of the outcome, too. */
struct owner {
    struct ml_thread_call *call;
    struct ml_port port; /* its channel is NULL: not open */
};

void ml_thread_call_release(struct ml_thread_call *call)
{
    if (atomic_fetch_sub(&call->owners, 1) > 1)
        return;
    struct ml_parcel *parcels[] = {call->settings, call->task, call->outcome};
    for (size_t i = 0; i < sizeof parcels / sizeof *parcels; i++)
        if (parcels[i] != NULL)
            ml_parcel_release(parcels[i]);
    if (call->done != NULL)
        ml_thread_channel_release(call->done);
    free(call);
}

/* The task waits no more: gives the call back. */
static void let_go(struct owner *owner)
{
    if (owner->port.channel != NULL)
        ml_port_close(&owner->port);
    if (owner->call != NULL)
        ml_thread_call_release(owner->call);
    owner->call = NULL;
}

/* The same; the thread is to end, too. */
static void give_up(struct ml_lua *lua, struct owner *owner)
{
    if (owner->call != NULL)
        lua->os_threads.runtimes->cancel(lua, owner->call);
    let_go(owner);
}

static int owner_collect(lua_State *L)
{
    give_up(ml_lua_of(L), lua_touserdata(L, 1));
    return 0;
}

static struct owner *push_owner(lua_State *L)
{
    struct owner *owner = lua_newuserdatauv(L, sizeof *owner, 0);
    memset(owner, 0, sizeof *owner);
    if (luaL_newmetatable(L, owner_type)) {
        lua_pushcfunction(L, owner_collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return owner;
}

/* ---- arguments ---- */

static size_t read_memory(lua_State *L)
{
    lua_getfield(L, 1, "memory");
    lua_Integer memory = lua_isnil(L, -1) ? 0 : lua_tointeger(L, -1);
    bool is_good = lua_isnil(L, -1) || (lua_isinteger(L, -1) && memory >= LEAST_MEMORY);
    luaL_argcheck(L, is_good, 1, "option 'memory' must be an integer, 262144 or more");
    lua_pop(L, 1);
    return (size_t)memory;
}

static void read_name(lua_State *L, struct ml_thread_call *call)
{
    lua_getfield(L, 1, "name");
    luaL_argcheck(L, lua_isnil(L, -1) || lua_isstring(L, -1), 1, "option 'name' must be a string");
    if (!lua_isnil(L, -1))
        snprintf(call->name, sizeof call->name, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

/* Names a call without a name after its function. */
static void name_after_function(lua_State *L, int index, struct ml_thread_call *call)
{
    lua_Debug about;
    if (lua_type(L, index) == LUA_TSTRING) {
        snprintf(call->name, sizeof call->name, "%s", lua_tostring(L, index));
        return;
    }
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &about);
    if (about.linedefined > 0)
        snprintf(call->name, sizeof call->name, "%.50s:%d", about.short_src, about.linedefined);
    else
        snprintf(call->name, sizeof call->name, "%s", about.short_src);
}

int ml_thread_resolve(lua_State *L, int index)
{
    if (lua_isfunction(L, index))
        return 1;
    if (lua_type(L, index) == LUA_TSTRING) {
        const char *name = lua_tostring(L, index), *dot = strrchr(name, '.');
        return dot != NULL && dot > name && dot[1] != '\0';
    }
    if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
        return 0;
    lua_insert(L, index);
    return 2;
}

/* Stack: [options,] a function or what stands for one, arguments. Replaces an object with __call by
 * that function and the object. Returns the index of the function. */
static int check_function(lua_State *L, const char *const names[])
{
    bool has_call = luaL_getmetafield(L, 1, "__call") != LUA_TNIL;
    lua_pop(L, has_call);
    int index = lua_istable(L, 1) && !has_call ? 2 : 1;
    if (index == 2)
        ml_check_option_names(L, 1, names);
    if (ml_thread_resolve(L, index) == 0) {
        luaL_argcheck(L, lua_type(L, index) != LUA_TSTRING, index,
                      "a function or \"module.function\" expected");
        luaL_typeerror(L, index, "function");
    }
    return index;
}

/* The call of the function at `index` and its arguments, all up to `last`. Raises. */
static void make_call(lua_State *L, struct owner *owner, int index, int last)
{
    struct ml_thread_call *call = owner->call = calloc(1, sizeof *call);
    if (call == NULL)
        luaL_error(L, "not enough memory");
    call->owners = 1;
    if (index == 2) {
        call->memory_limit = read_memory(L);
        read_name(L, call);
    }
    if (call->name[0] == '\0')
        name_after_function(L, index, call);
    call->task = ml_pack(L, index, last - index + 1, "argument #%d", index);
    call->settings = ml_settings_pack(L);
    call->done = ml_thread_channel_new(1);
    if (call->done == NULL || ml_port_open(&ml_lua_of(L)->hub, &owner->port, call->done) != 0)
        luaL_error(L, "not enough memory");
    owner->port.awaited = &end_kind;
}

/* The caller was cancelled: the thread is to end, and the caller waits for that, but not for long.
 */
static void end_and_wait(struct ml_lua *lua, struct owner *owner)
{
    struct ml_message *outcome = NULL;
    lua->os_threads.runtimes->cancel(lua, owner->call);
    struct ml_scope *shield = ml_scope_open(&lua->hub, ML_SCOPE_SHIELD, ML_FOREVER);
    if (shield == NULL)
        return;
    ml_time deadline = ml_time_after(ml_hub_now(&lua->hub), PATIENCE);
    if (ml_port_get(&lua->hub, &owner->port, &outcome, deadline) == 0)
        outcome->release(outcome);
    ml_scope_close(&lua->hub, shield);
}

/* Waits for the outcome of the call, which has been started. */
static int await(struct ml_lua *lua, struct owner *owner, struct ml_message **outcome)
{
    int error = ml_port_get(&lua->hub, &owner->port, outcome, ML_FOREVER);
    if (error != 0 && error != -ML_ECLOSED)
        end_and_wait(lua, owner);
    return error;
}

/* Returns the results, or raises. Takes the outcome, which is NULL after an error. */
static int finish(lua_State *L, struct owner *owner, struct ml_message *outcome, int error)
{
    char name[ML_THREAD_NAME];
    int reason = error == -ML_ECLOSED ? owner->call->error : 0;
    if (error != 0)
        let_go(owner);
    if (reason != 0)
        luaL_error(L, "cannot open a runtime on a thread: %s", ml_error_text(reason));
    if (error == -ML_ECLOSED)
        luaL_error(L, "not enough memory for the outcome of a thread");
    if (error != 0)
        luaL_error(L, "cannot start a thread");
    memcpy(name, owner->call->name, sizeof name);
    if (owner->call->has_told) {
        struct ml_lua *lua = ml_lua_of(L);
        lua->report.was_told = true;
        lua->os_threads.runtimes->take_reports(lua);
    }
    let_go(owner);
    return ml_outcome_take(L, ml_parcel_of(outcome), name);
}

/* Starts the call, waits for its end and returns its results. Raises. */
static int run(lua_State *L, struct owner *owner)
{
    struct ml_message *outcome = NULL;
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = ml_cancel_point(&lua->hub);
    if (error == 0)
        error = lua->os_threads.runtimes->start(lua, owner->call);
    if (error == 0)
        error = await(lua, owner, &outcome);
    if (error != 0 && error != -ML_ECLOSED)
        let_go(owner);
    error = ml_blocking_end(L, error);
    return finish(L, owner, outcome, error);
}

/* Stack: [options,] a function, arguments. Pushes the owner of the call. Raises. */
static struct owner *prepare(lua_State *L, const char *const names[])
{
    int index = check_function(L, names), last = lua_gettop(L);
    struct owner *owner = push_owner(L);
    make_call(L, owner, index, last);
    return owner;
}

/***
Runs a function in a runtime of its own, on a thread of its own, and waits for its end. The
function, its arguments and its results are copied. If the caller is cancelled, the function ends,
also while it computes; the caller waits for that, but for a second at most, since C code may not
end. An object that can be called stands for the function of its `__call` with the object as its
first argument: a copy, without a metatable. The same holds for all functions of this module.
@function call
@tparam[opt] table opts
@tparam[opt] integer opts.memory bytes that its Lua state may have at a time, 262144 at least
@tparam[opt] string opts.name shown in reports
@tparam function|string fn or "module.function"
@param ... its arguments
@return its results; raises its error
*/
int ml_thread_call(lua_State *L)
{
    static const char *const names[] = {"memory", "name", NULL};
    return run(L, prepare(L, names));
}

/* Stack: the call's owner. */
static int run_prepared(lua_State *L)
{
    return run(L, lua_touserdata(L, 1));
}

/***
Starts a task that does as call(): the function and its arguments are copied at once. The program
waits for it as for any task, unless it is a daemon.
@function spawn
@tparam[opt] table opts
@tparam[opt=false] boolean opts.daemon the program does not wait for it
@tparam[opt] integer opts.memory bytes that its Lua state may have at a time, 262144 at least
@tparam[opt] string opts.name shown in reports
@tparam[opt=false] boolean opts.quiet its error is not reported: a later join gets it
@tparam function|string fn or "module.function"
@param ... its arguments
@treturn Task
*/
int ml_thread_spawn(lua_State *L)
{
    static const char *const names[] = {"daemon", "memory", "name", "quiet", NULL};
    struct ml_lua_spawn options = {0};
    const struct owner *owner = prepare(L, names);
    if (lua_istable(L, 1)) {
        options.is_daemon = ml_boolean_option(L, 1, "daemon", false);
        options.is_quiet = ml_boolean_option(L, 1, "quiet", false);
    }
    options.name = lua_pushstring(L, owner->call->name);
    options.name_index = lua_gettop(L);
    lua_pushcfunction(L, run_prepared);
    lua_pushvalue(L, -3);
    int error = ml_lua_spawn(L, &options, 2);
    return error == 0 ? 1 : ml_push_failure(L, error);
}
