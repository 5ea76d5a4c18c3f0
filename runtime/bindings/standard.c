/*
 * The functions of Lua's standard library that must know of tasks: pcall and xpcall let a
 * cancellation through, coroutine.* tells a task's own thread from a generator, os.exit unwinds.
 * All else about them is as in stock Lua.
 */
#include "bindings/blocking.h"
#include "bindings/cancellation.h"
#include "bindings/lua_task.h"
#include "bindings/modules.h"
#include "hub/scope.h"

#include <errno.h>
#include <lualib.h>
#include <stdlib.h>

/* ---- protected calls ---- */

/* After a protected call. Stack: true, results (from `first` on), or the error on top. */
static int protected_results(lua_State *L, int status, intptr_t count, int first)
{
    if (ml_likely(status == LUA_OK || status == LUA_YIELD))
        return lua_gettop(L) - first + 1;
    ml_cancellation_rethrow(L, count);
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
}

static int pcall_results(lua_State *L, int status, lua_KContext count)
{
    return protected_results(L, status, count, 1);
}

static int protected_call(lua_State *L)
{
    luaL_checkany(L, 1);
    intptr_t count = ml_cancellation_count(L);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, count, pcall_results);
    return pcall_results(L, status, count);
}

static int xpcall_results(lua_State *L, int status, lua_KContext count)
{
    return protected_results(L, status, count, 3);
}

/* Stack: function, handler, arguments -> function, handler, true, function, arguments. */
static int protected_call_with_handler(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    intptr_t count = ml_cancellation_count(L);
    int arguments = lua_gettop(L) - 2;
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    int status = lua_pcallk(L, arguments, LUA_MULTRET, 2, count, xpcall_results);
    return xpcall_results(L, status, count);
}

/* ---- coroutine ---- */

/* The task whose own thread L is, NULL for a generator or outside tasks. */
static struct ml_lua_task *task_on(lua_State *L)
{
    struct ml_task *current = ml_lua_of(L)->hub.current;
    if (current == NULL || ml_lua_task_of(current)->L != L)
        return NULL;
    return ml_lua_task_of(current);
}

static int coroutine_running(lua_State *L)
{
    struct ml_lua_task *task = task_on(L);
    if (task != NULL)
        task->thread_is_known = true;
    bool is_main = lua_pushthread(L) || (task != NULL && task == ml_lua_of(L)->main_task);
    lua_pushboolean(L, is_main);
    return 2;
}

static int coroutine_isyieldable(lua_State *L)
{
    lua_State *thread = lua_isnone(L, 1) ? L : lua_tothread(L, 1);
    luaL_argexpected(L, thread != NULL, 1, "thread");
    lua_pushboolean(L, task_on(thread) == NULL && lua_isyieldable(thread));
    return 1;
}

static int coroutine_yield(lua_State *L)
{
    if (task_on(L) == NULL)
        return lua_yield(L, lua_gettop(L));
    lua_pushliteral(L, "attempt to yield from outside a coroutine");
    return lua_error(L);
}

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *thread = lua_tothread(L, 1);
    luaL_argexpected(L, thread != NULL, 1, "thread");
    return thread;
}

/* Resumes `thread` with the `count` values on top of L. The count of its results, now on L; or -1,
 * with the error there instead. */
static int resume(lua_State *L, lua_State *thread, int count)
{
    if (ml_unlikely(!lua_checkstack(thread, count))) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, thread, count);
    int status = lua_resume(thread, L, count, &count);
    if (ml_unlikely(status != LUA_OK && status != LUA_YIELD)) {
        lua_xmove(thread, L, 1);
        return -1;
    }
    if (ml_unlikely(!lua_checkstack(L, count + 1))) {
        lua_pop(thread, count);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(thread, L, count);
    return count;
}

static bool has_failed(lua_State *thread)
{
    return lua_status(thread) != LUA_OK && lua_status(thread) != LUA_YIELD;
}

/* A thread failed with the error on top of L: closes its variables, which may replace the error.
 * Returns its status. */
static int close_failed(lua_State *L, lua_State *thread)
{
    lua_xmove(L, thread, 1);
    int status = lua_resetthread(thread);
    lua_xmove(thread, L, 1);
    return status;
}

/* After a failed resume: a cancellation of the running task goes on, once the thread is closed, for
 * nobody else will. */
static void rethrow_from(lua_State *L, lua_State *thread, intptr_t count)
{
    if (ml_cancellation_count(L) == count)
        return;
    if (has_failed(thread))
        close_failed(L, thread);
    ml_cancellation_rethrow(L, count);
}

static int coroutine_resume(lua_State *L)
{
    lua_State *thread = check_coroutine(L);
    intptr_t cancellations = ml_cancellation_count(L);
    int count = resume(L, thread, lua_gettop(L) - 1);
    if (ml_unlikely(count < 0))
        rethrow_from(L, thread, cancellations);
    lua_pushboolean(L, count >= 0);
    count = count >= 0 ? count : 1;
    lua_insert(L, -(count + 1));
    return count + 1;
}

/* Raises the error on top of L, which came out of `thread`, with the place of the caller before it if
 * it is a text. */
static int raise_from(lua_State *L, lua_State *thread)
{
    int status = has_failed(thread) ? close_failed(L, thread) : LUA_OK;
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* Upvalue: the thread. */
static int wrapped(lua_State *L)
{
    lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
    intptr_t cancellations = ml_cancellation_count(L);
    int count = resume(L, thread, lua_gettop(L));
    if (ml_likely(count >= 0))
        return count;
    rethrow_from(L, thread, cancellations);
    return raise_from(L, thread);
}

static int coroutine_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *thread = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

/* "running" or "normal" for a thread that cannot be closed, else NULL. */
static const char *busy_status(lua_State *L, lua_State *thread)
{
    lua_Debug frame;
    if (L == thread)
        return "running";
    return lua_status(thread) == LUA_OK && lua_getstack(thread, 0, &frame) ? "normal" : NULL;
}

static int coroutine_close(lua_State *L)
{
    lua_State *thread = check_coroutine(L);
    intptr_t count = ml_cancellation_count(L);
    const char *status = busy_status(L, thread);
    if (status != NULL)
        return luaL_error(L, "cannot close a %s coroutine", status);
    if (lua_resetthread(thread) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    ml_cancellation_rethrow(L, count);
    lua_pushboolean(L, 0);
    lua_xmove(thread, L, 1);
    return 2;
}

/* ---- load ---- */

/* Where load() keeps its values: the piece at PIECE keeps the string alive that the parser reads. */
enum { CHUNK = 1, NAME = 2, MODE = 3, ENVIRONMENT = 4, PIECE = 5 };

/* lua_Reader: the next piece is what the function at CHUNK returns; nil or "" ends the chunk. */
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

/* ---- os.exit ---- */

static int exit_status(lua_State *L)
{
    if (lua_isboolean(L, 1))
        return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
    return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}

/* With true as second argument the tasks are unwound, this one first, and the state is closed.
 * Outside a task that is the state's own finalizers: they are closing it already. */
static int os_exit(lua_State *L)
{
    int status = exit_status(L);
    struct ml_lua *lua = ml_lua_of(L);
    if (!lua_toboolean(L, 2))
        exit(status);
    if (lua->hub.current == NULL) {
        lua_close(lua->main);
        exit(status);
    }
    lua->exit_asked = true;
    lua->exit_status = status;
    ml_hub_stop(&lua->hub);
    /* A finalizer, or a report, must come to its end: what called it is unwound at its next wait. */
    if (lua_gc(L, LUA_GCCOUNT) < 0 || lua->is_reporting) {
        ml_task_cancel(lua->hub.current);
        return 0;
    }
    ml_lua_task_restart(lua, ML_RUN_CLOSING);
}

void ml_open_standard(lua_State *L)
{
    static const luaL_Reg base[] = {{"pcall", protected_call},
                                    {"xpcall", protected_call_with_handler},
                                    {"load", load_chunk},
                                    {NULL, NULL}};
    static const luaL_Reg coroutine[] = {{"running", coroutine_running},
                                         {"isyieldable", coroutine_isyieldable},
                                         {"yield", coroutine_yield},
                                         {"resume", coroutine_resume},
                                         {"wrap", coroutine_wrap},
                                         {"close", coroutine_close},
                                         {NULL, NULL}};
    lua_pushglobaltable(L);
    luaL_setfuncs(L, base, 0);
    lua_getfield(L, -1, LUA_COLIBNAME);
    luaL_setfuncs(L, coroutine, 0);
    lua_getfield(L, -2, LUA_OSLIBNAME);
    lua_pushcfunction(L, os_exit);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 3);
}
