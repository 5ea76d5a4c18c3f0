/***
What calls of C libraries wait for a task instead of the whole thread.

libc's blocking calls (poll, recv, connect, sleep, getaddrinfo, ...) are answered by moonlet when a
task makes them, from any C library. `docs/c-libraries.md` says which libraries were tried.

@module moonlet.patch
*/
#include "bindings/core/lua_runtime.h"
#include "bindings/lib/modules.h"
#include "interpose/libc_call.h"

static struct ml_foreign *foreign_of(lua_State *L)
{
    return ml_lua_of(L)->foreign;
}

static bool is_on(lua_State *L)
{
    return ml_lua_of(L)->hub.foreign != NULL;
}

static void push_call(lua_State *L, const struct ml_count *count)
{
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, (lua_Integer)count->waited);
    lua_setfield(L, -2, "waited");
    lua_pushinteger(L, (lua_Integer)count->blocked);
    lua_setfield(L, -2, "blocked");
}

static void push_calls(lua_State *L, const struct ml_foreign *f)
{
    lua_createtable(L, 0, ML_CALL_COUNT);
    for (int i = 0; i < ML_CALL_COUNT; i++) {
        push_call(L, &f->counts[i]);
        lua_setfield(L, -2, ml_call_name((enum ml_call)i));
    }
}

static void push_excluded(lua_State *L, const struct ml_foreign *f)
{
    int count = 0;
    lua_newtable(L);
    for (const struct ml_exclusion *e = f->exclusions; e != NULL; e = e->next) {
        lua_pushstring(L, e->pattern);
        lua_rawseti(L, -2, ++count);
    }
}

/***
Tells what is covered and what happened so far.
@function status
@treturn table `{available=, on=, calls=, excluded=}`: whether this program answers the calls at
all, and does now; by the name of each call `{waited=, blocked=}`: how often a task waited in it,
and how often it blocked the thread for want of a way not to; the patterns given to exclude()
*/
static int patch_status(lua_State *L)
{
    const struct ml_foreign *f = foreign_of(L);
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, f->is_available);
    lua_setfield(L, -2, "available");
    lua_pushboolean(L, f->is_available && is_on(L));
    lua_setfield(L, -2, "on");
    push_calls(L, f);
    lua_setfield(L, -2, "calls");
    push_excluded(L, f);
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
    if (ml_foreign_exclude(foreign_of(L), pattern) != 0)
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
    lua->hub.foreign = lua->hub.life.is_forked ? NULL : lua->foreign;
    lua_pushboolean(L, lua->foreign->is_available);
    return 1;
}

/***
Leaves all calls to libc, as the program does with `--no-interpose`. Tasks that wait in one go on
waiting.
@function disable
*/
static int patch_disable(lua_State *L)
{
    ml_lua_of(L)->hub.foreign = NULL;
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
