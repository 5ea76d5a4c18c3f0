/***
Calls of C libraries that make a task wait instead of the whole thread.

When a task makes one of libc's blocking calls (poll, recv, connect, sleep, getaddrinfo, ...), from
any C library, moonlet answers it. `docs/c-libraries.md` lists the libraries that were tried.

@module moonlet.patch
*/
#include "bindings/lib/patch.h"

#include "bindings/core/lua_runtime.h"
#include "interpose/caller.h"

static struct ml_libc_calls *libc_calls_of(lua_State *L)
{
    return ml_lua_of(L)->libc_calls;
}

static bool is_on(lua_State *L)
{
    return ml_lua_of(L)->hub.libc_calls != NULL;
}

static void push_call(lua_State *L, const struct ml_libc_call_counts *count)
{
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, (lua_Integer)count->waited);
    lua_setfield(L, -2, "waited");
    lua_pushinteger(L, (lua_Integer)count->blocked);
    lua_setfield(L, -2, "blocked");
}

static void push_calls(lua_State *L, const struct ml_libc_calls *calls)
{
    lua_createtable(L, 0, ML_LIBC_FUNCTION_COUNT);
    for (int i = 0; i < ML_LIBC_FUNCTION_COUNT; i++) {
        push_call(L, &calls->tally.counts[i]);
        lua_setfield(L, -2, ml_libc_function_name((enum ml_libc_function)i));
    }
}

static void push_excluded(lua_State *L, const struct ml_libc_calls *calls)
{
    int count = 0;
    lua_newtable(L);
    for (const struct ml_exclusion *e = calls->exclusions; e != NULL; e = e->next) {
        lua_pushstring(L, e->pattern);
        lua_rawseti(L, -2, ++count);
    }
}

/***
Returns the calls that are covered, and their counts.
@function status
@treturn table `{available=, on=, calls=, excluded=}`: whether this program can answer the calls,
and whether it does now; by the name of each call `{waited=, blocked=}`: how often a task waited in
it, and how often it had to block the thread; the patterns given to exclude()
*/
static int patch_status(lua_State *L)
{
    const struct ml_libc_calls *calls = libc_calls_of(L);
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, calls->is_available);
    lua_setfield(L, -2, "available");
    lua_pushboolean(L, calls->is_available && is_on(L));
    lua_setfield(L, -2, "on");
    push_calls(L, calls);
    lua_setfield(L, -2, "calls");
    push_excluded(L, calls);
    lua_setfield(L, -2, "excluded");
    return 1;
}

/***
Leaves calls to libc from now on: they block the thread, and with it every task.
@function exclude
@string pattern with `*`, `?` and `[...]` as in a shell; matched against the name of the call
("getaddrinfo") and the file name of the library that makes it ("libodbc.so*", "core.so")
*/
static int patch_exclude(lua_State *L)
{
    const char *pattern = luaL_checkstring(L, 1);
    luaL_argcheck(L, *pattern != '\0', 1, "a pattern is not empty");
    if (ml_caller_exclude(libc_calls_of(L), pattern) != 0)
        luaL_error(L, "not enough memory");
    return 0;
}

/***
Answers the calls of C libraries, as the program does from the start.
@function enable
@treturn boolean whether it can: true in the program `moonlet`
*/
static int patch_enable(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    lua->hub.libc_calls = lua->hub.life.is_forked ? NULL : lua->libc_calls;
    lua_pushboolean(L, lua->libc_calls->is_available);
    return 1;
}

/***
Leaves all calls to libc, as the program does with `--no-interpose`. Tasks that wait in one go on
waiting.
@function disable
*/
static int patch_disable(lua_State *L)
{
    ml_lua_of(L)->hub.libc_calls = NULL;
    return 0;
}

int ml_open_patch(lua_State *L)
{
    static const luaL_Reg functions[] = {{"status", patch_status},
                                         {"exclude", patch_exclude},
                                         {"enable", patch_enable},
                                         {"disable", patch_disable},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
