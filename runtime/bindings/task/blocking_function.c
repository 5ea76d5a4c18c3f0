/*** @submodule moonlet.task */
#include "bindings/task/blocking_function.h"

#include "bindings/core/blocking.h"
#include "bindings/core/exit.h"
#include "hub/on/offload.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind worker_kind = {.text = "a C function on a worker thread",
                                                .external = true};

/* The call lies in a Lua state of its own, which only the worker uses while it runs: first the
 * function and its arguments, then its results, or the error. The function's library stays loaded,
 * since the runtime may be closed before the function ends. */
struct call {
    struct ml_job job;
    lua_State *state;
    void *library; /* of the function; NULL: none */
    int status;
};

/* Copies a value from one state to another, which may raise for want of memory. False: values of
 * that type cannot move. */
static bool move_value(lua_State *from, int index, lua_State *to)
{
    size_t size;
    const char *text;
    switch (lua_type(from, index)) {
    case LUA_TNIL:
        lua_pushnil(to);
        return true;
    case LUA_TBOOLEAN:
        lua_pushboolean(to, lua_toboolean(from, index));
        return true;
    case LUA_TNUMBER:
        if (lua_isinteger(from, index))
            lua_pushinteger(to, lua_tointeger(from, index));
        else
            lua_pushnumber(to, lua_tonumber(from, index));
        return true;
    case LUA_TSTRING:
        text = lua_tolstring(from, index, &size);
        lua_pushlstring(to, text, size);
        return true;
    case LUA_TLIGHTUSERDATA:
        lua_pushlightuserdata(to, lua_touserdata(from, index));
        return true;
    default:
        return false;
    }
}

static void run_call(struct ml_job *job)
{
    struct call *call = ml_container_of(job, struct call, job);
    call->status = lua_pcall(call->state, lua_gettop(call->state) - 1, LUA_MULTRET, 0);
}

static void release_call(struct ml_job *job)
{
    struct call *call = ml_container_of(job, struct call, job);
    if (call->state != NULL)
        lua_close(call->state);
    if (call->library != NULL)
        dlclose(call->library);
    free(call);
}

/* In the worker's state. Stack: the script's state, the count of values to copy. Returns them: a
 * function and its arguments. */
static int take_arguments(lua_State *W)
{
    lua_State *L = lua_touserdata(W, 1);
    int count = (int)lua_tointeger(W, 2);
    luaL_checkstack(W, count, "too many arguments");
    lua_pushcfunction(W, lua_tocfunction(L, 1));
    for (int i = 2; i <= count; i++)
        move_value(L, i, W);
    return count;
}

static void release(struct call **owner)
{
    if (*owner != NULL)
        release_call(&(*owner)->job);
    *owner = NULL;
}

/* Owns the call while L may raise: its finalizer releases the call. */
static int owner_release(lua_State *L)
{
    release(lua_touserdata(L, 1));
    return 0;
}

static struct call **push_owner(lua_State *L)
{
    struct call **owner = lua_newuserdatauv(L, sizeof(void *), 0);
    *owner = NULL;
    if (luaL_newmetatable(L, "moonlet.call")) {
        lua_pushcfunction(L, owner_release);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return owner;
}

/* The library that has a function, opened once more; NULL: it is the program's own. */
static void *library_of(lua_CFunction function)
{
    Dl_info info;
    return dladdr((void *)function, &info) != 0 ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD)
                                                : NULL;
}

/* A call of the function at 1. Raises. */
static struct call *make_call(lua_State *L, struct call **owner)
{
    struct call *call = *owner = calloc(1, sizeof *call);
    if (call != NULL) {
        call->job = (struct ml_job){.run = run_call, .release = release_call, .work = ML_WORK_USER};
        call->library = library_of(lua_tocfunction(L, 1));
        call->state = luaL_newstate();
    }
    if (call == NULL || call->state == NULL)
        luaL_error(L, "not enough memory");
    return call;
}

/* Whether a table of the standard library or of moonlet's, on top of the stack, has the function
 * at 1. */
static bool has_function(lua_State *L)
{
    bool has = false;
    for (lua_pushnil(L); !has && lua_next(L, -2) != 0; lua_pop(L, 1)) {
        has = lua_rawequal(L, -1, 1);
        if (has)
            lua_pop(L, 1);
    }
    return has;
}

static bool is_bound_module(const char *name)
{
    static const char *const bound[] = {"_G", "coroutine", "debug", "io", "package"};
    bool is = strncmp(name, "moonlet", strlen("moonlet")) == 0;
    for (size_t i = 0; i < sizeof bound / sizeof *bound; i++)
        is = is || strcmp(name, bound[i]) == 0;
    return is;
}

/* Raises for functions that depend on this very state, or on tasks. */
static void check_unbound(lua_State *L)
{
    bool is_bound = lua_tocfunction(L, 1) == ml_os_exit;
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1) &&
            is_bound_module(lua_tostring(L, -2)))
            is_bound = is_bound || has_function(L);
    lua_pop(L, 1);
    luaL_argcheck(L, !is_bound, 1, "this function belongs to its Lua state or to its task");
}

static void check_arguments(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (lua_tocfunction(L, 1) == NULL)
        luaL_argerror(L, 1,
                      "a C function expected, got one in Lua: it cannot run on another thread");
    if (lua_getupvalue(L, 1, 1) != NULL)
        luaL_argerror(L, 1, "this C function has values of its Lua state");
    check_unbound(L);
    for (int i = 2; i <= lua_gettop(L); i++) {
        int type = lua_type(L, i);
        if (type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA ||
            type == LUA_TTHREAD)
            luaL_argerror(
                L, i, lua_pushfstring(L, "a %s cannot go to another thread", luaL_typename(L, i)));
    }
}

/* Pushes the function's results and releases the call. Raises the function's error. */
static int take_results(lua_State *L, const struct call *call, struct call **owner)
{
    int count = lua_gettop(call->state), status = call->status;
    luaL_checkstack(L, count, "too many results");
    for (int i = 1; i <= count; i++)
        if (!move_value(call->state, i, L))
            luaL_error(L, "a %s cannot come from another thread (result #%d)",
                       luaL_typename(call->state, i), i);
    release(owner);
    return status == LUA_OK ? count : lua_error(L);
}

/***
Runs a C function on a worker thread while the task waits. For functions that can only block: a
driver that waits on a condition variable, a long computation in C. They have 32 workers at most;
further calls queue. A worker whose task has given up does not count.

The function runs in an empty Lua state of its own. So it must need nothing of the script's: no
upvalues, nothing in the registry, no metatables (its module's objects are unknown there). Arguments
and results are nil, booleans, numbers, strings and light userdata. It must be safe to call in any
thread.

A cancelled task goes on at once; the function runs to its end, and its results are dropped. May
wait.
@function blocking
@tparam cfunction fn
@param ... its arguments
@return its results; raises its error
*/
static int task_blocking(lua_State *L)
{
    check_arguments(L);
    int count = lua_gettop(L);
    struct call **owner = push_owner(L);
    struct call *call = make_call(L, owner);
    lua_pushcfunction(call->state, take_arguments);
    lua_pushlightuserdata(call->state, L);
    lua_pushinteger(call->state, count);
    if (lua_pcall(call->state, 2, LUA_MULTRET, 0) != LUA_OK)
        luaL_error(L, "not enough memory");
    struct ml_lua *lua = ml_blocking_begin(L);
    *owner = NULL;
    int error = ml_offload(&lua->hub, &worker_kind, &call->job, ML_FOREVER);
    if (error == 0)
        *owner = call;
    if (ml_blocking_end(L, error) != 0)
        luaL_error(L, "cannot start a thread");
    return take_results(L, call, owner);
}

int ml_open_blocking(lua_State *L)
{
    lua_pushcfunction(L, task_blocking);
    return 1;
}
