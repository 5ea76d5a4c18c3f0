/*
 * The functions of Lua's standard library that must know of tasks, apart from coroutine.*: pcall,
 * xpcall and load let a cancellation through, os.exit unwinds. (require is in require.c.)
 * Everything else about them is as in stock Lua.
 */
#include "bindings/lib/standard.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/exit.h"
#include "bindings/core/libc_call.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/story.h"
#include "bindings/coroutine/coroutine.h"
#include "bindings/lib/require.h"
#include "hub/loop/run.h"
#include "hub/state/scope.h"

#include <errno.h>
#include <lualib.h>
#include <stdlib.h>

/* ---- protected calls ---- */

static inline bool is_good(int status)
{
    return ml_likely(status == LUA_OK || status == LUA_YIELD);
}

/* After a protected call that caught the error on top. */
static int push_caught(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
}

/* Stack: true, results, or the error on top. */
static int pcall_results(lua_State *L, int status, lua_KContext count)
{
    if (is_good(status))
        return lua_gettop(L);
    ml_libc_calls_caught(L, __builtin_frame_address(0));
    ml_cancellation_rethrow(L, count);
    return push_caught(L);
}

/* A message handler while a debugger wants to know of errors that are caught. The upvalue is the
 * script's own handler, if there is one. */
static int show_error(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    lua_settop(L, 1);
    if (lua->task_hooks.raised != NULL && lua->hub.current != NULL)
        lua->task_hooks.raised(lua, L, true);
    if (lua_isnone(L, lua_upvalueindex(1)))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* Stack: the handler, true, results or the error. */
static int shown_results(lua_State *L, int status, lua_KContext count)
{
    lua_remove(L, 1);
    return pcall_results(L, status, count);
}

static int protected_call_shown(lua_State *L)
{
    intptr_t count = ml_cancellation_count(L);
    lua_pushcfunction(L, show_error);
    lua_insert(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 2);
    int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 1, count, shown_results);
    return shown_results(L, status, count);
}

static int protected_call(lua_State *L)
{
    luaL_checkany(L, 1);
    if (ml_unlikely(ml_lua_of(L)->task_hooks.raised != NULL))
        return protected_call_shown(L);
    intptr_t count = ml_cancellation_count(L);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, count, pcall_results);
    return pcall_results(L, status, count);
}

/* Whether the message handler at `index` leaves a cancellation as it is. */
static bool keeps_cancellations(lua_State *L, int index)
{
    lua_CFunction function = lua_tocfunction(L, index);
    return function != NULL &&
           (function == ml_story_handler || function == ml_lua_of(L)->standard.debug_traceback);
}

/* Stack: function, handler, true, results, or the handler's result for the error on top. Most
 * handlers may turn a cancellation into anything; they got a closing variable's error as well. */
static int xpcall_results(lua_State *L, int status, lua_KContext count)
{
    if (is_good(status))
        return lua_gettop(L) - 2;
    ml_libc_calls_caught(L, __builtin_frame_address(0));
    if (keeps_cancellations(L, 2))
        ml_cancellation_rethrow(L, count);
    else
        ml_cancellation_rethrow_anew(L, count);
    return push_caught(L);
}

/* Stack: function, handler, arguments -> function, handler, true, function, arguments. */
static int protected_call_with_handler(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    intptr_t count = ml_cancellation_count(L);
    int arguments = lua_gettop(L) - 2;
    int handler = 2;
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    if (ml_unlikely(ml_lua_of(L)->task_hooks.raised != NULL)) {
        handler = 1;
        lua_pushvalue(L, 2);
        lua_pushcclosure(L, show_error, 1);
        lua_replace(L, handler);
    }
    int status = lua_pcallk(L, arguments, LUA_MULTRET, handler, count, xpcall_results);
    return xpcall_results(L, status, count);
}

/* ---- load ---- */

/* Where load() keeps its values. The piece at PIECE keeps the string alive that the parser reads.
 */
enum { CHUNK = 1, NAME = 2, MODE = 3, ENVIRONMENT = 4, PIECE = 5 };

/* lua_Reader: calls the function at CHUNK for the next piece; nil or "" ends the chunk. */
static const char *next_piece(lua_State *L, void *data, size_t *size)
{
    (void)data;
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, CHUNK);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        *size = 0;
        return NULL;
    }
    if (ml_unlikely(!lua_isstring(L, -1)))
        luaL_error(L, "reader function must return a string");
    lua_replace(L, PIECE);
    return lua_tolstring(L, PIECE, size);
}

static int load_text(lua_State *L, const char *mode)
{
    size_t size;
    const char *text = lua_tolstring(L, CHUNK, &size);
    return luaL_loadbufferx(L, text, size, luaL_optstring(L, NAME, text), mode);
}

static int load_pieces(lua_State *L, const char *mode)
{
    const char *name = luaL_optstring(L, NAME, "=(load)");
    luaL_checktype(L, CHUNK, LUA_TFUNCTION);
    lua_settop(L, PIECE);
    return lua_load(L, next_piece, NULL, name, mode);
}

static int load_chunk(lua_State *L)
{
    bool has_environment = !lua_isnone(L, ENVIRONMENT);
    intptr_t count = ml_cancellation_count(L);
    const char *mode = luaL_optstring(L, MODE, "bt");
    if (ml_unlikely(ml_lua_of(L)->standard.text_only))
        mode = "t";
    int status = lua_isstring(L, CHUNK) ? load_text(L, mode) : load_pieces(L, mode);
    if (status != LUA_OK) {
        ml_cancellation_rethrow(L, count);
        luaL_pushfail(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_environment) {
        lua_pushvalue(L, ENVIRONMENT);
        if (lua_setupvalue(L, -2, 1) == NULL)
            lua_pop(L, 1);
    }
    return 1;
}

void ml_open_standard(lua_State *L)
{
    static const luaL_Reg base[] = {{"pcall", protected_call},
                                    {"xpcall", protected_call_with_handler},
                                    {"load", load_chunk},
                                    {NULL, NULL}};
    lua_pushglobaltable(L);
    luaL_setfuncs(L, base, 0);
    lua_getfield(L, -1, LUA_OSLIBNAME);
    lua_pushcfunction(L, ml_os_exit);
    lua_setfield(L, -2, "exit");
    lua_getglobal(L, LUA_DBLIBNAME);
    lua_getfield(L, -1, "traceback");
    ml_lua_of(L)->standard.debug_traceback = lua_tocfunction(L, -1);
    lua_pop(L, 4);
    ml_open_require(L);
    ml_open_coroutine(L);
}
