/*
 * The standard library's coroutine, each on a C stack of its own: a generator may yield from inside
 * any C function, and a call that waits inside one parks the whole task. Threads that a C library
 * resumes and yields through Lua's own API keep doing so.
 */
#include "bindings/coroutine/coroutine.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/lua_task.h"
#include "bindings/coroutine/generator.h"
#include "hub/switch/chain.h"

#include <lauxlib.h>
#include <lualib.h>

/*
 * The processor predicts the target of a `ret` from the calls it has seen. When two strands switch
 * to each other, it has seen the other one's. With everything down to the switch inlined, one `ret`
 * is mispredicted, and the next is Lua's in both.
 */
#define FLAT __attribute__((flatten))

/* The task whose own thread L is, NULL for any other thread and outside tasks. */
static struct ml_lua_task *task_on(lua_State *L)
{
    struct ml_task *current = ml_lua_of(L)->hub.current;
    if (current == NULL || ml_lua_task_of(current)->L != L)
        return NULL;
    return ml_lua_task_of(current);
}

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *thread = lua_tothread(L, 1);
    luaL_argexpected(L, thread != NULL, 1, "thread");
    return thread;
}

static int coroutine_running(lua_State *L)
{
    struct ml_lua_task *task = task_on(L);
    *ml_lua_mark(L) |= ML_MARK_KNOWN;
    if (task != NULL)
        task->thread_is_known = true;
    bool is_main = lua_pushthread(L) || (task != NULL && task == ml_lua_of(L)->tasks.main);
    lua_pushboolean(L, is_main);
    return 2;
}

static int coroutine_isyieldable(lua_State *L)
{
    lua_State *thread = lua_isnone(L, 1) ? L : lua_tothread(L, 1);
    luaL_argexpected(L, thread != NULL, 1, "thread");
    lua_pushboolean(L, ml_generator_is_yieldable(thread));
    return 1;
}

static int coroutine_status(lua_State *L)
{
    lua_pushstring(L, ml_generator_status(L, check_coroutine(L)));
    return 1;
}

static FLAT int coroutine_yield(lua_State *L)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (ml_unlikely(hub->current == NULL || hub->current->strand != ml_strand_of(L)))
        return lua_yield(L, lua_gettop(L));
    ml_generator_check_yield(L);
    ml_strand_leave(hub);
    return lua_gettop(L);
}

static bool has_failed(lua_State *thread)
{
    return lua_status(thread) != LUA_OK && lua_status(thread) != LUA_YIELD;
}

/* Closes the variables of a thread that failed with the error on top of L; they may replace the
 * error. Returns its status. */
static int close_failed(lua_State *L, lua_State *thread)
{
    lua_xmove(L, thread, 1);
    int status = lua_resetthread(thread);
    lua_xmove(thread, L, 1);
    return status;
}

/* After a failed resume: closes the thread and raises the running task's cancellation again, if
 * there is one; no other code will. */
static void rethrow_from(lua_State *L, lua_State *thread, intptr_t count)
{
    if (ml_cancellation_count(L) == count)
        return;
    if (has_failed(thread))
        close_failed(L, thread);
    ml_cancellation_rethrow(L, count);
}

static FLAT int coroutine_resume(lua_State *L)
{
    lua_State *thread = check_coroutine(L);
    intptr_t cancellations = ml_cancellation_count(L);
    int count = ml_generator_resume(L, thread, lua_gettop(L) - 1);
    if (ml_unlikely(count < 0))
        rethrow_from(L, thread, cancellations);
    lua_pushboolean(L, count >= 0);
    count = count >= 0 ? count : 1;
    lua_insert(L, -(count + 1));
    return count + 1;
}

/* Raises the error on top of L, which came out of `thread`. A text gets the caller's line in front.
 */
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

/* ---- wrap ---- */

/* Threads of wrapped generators that ended well are used again: no reference to them is left. */
enum { IDLE_GENERATORS = 64 };

static void push_thread(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (lua_gettop(lua->idle_generators) > 0 && ml_hooks_are_plain(L))
        lua_xmove(lua->idle_generators, L, 1);
    else
        lua_newthread(L);
}

/* Gives up the thread of the running closure's generator, which has ended well. */
static __attribute__((noinline)) void give_up_thread(lua_State *L, lua_State *thread)
{
    lua_State *idle = ml_lua_of(L)->idle_generators;
    bool is_free = !(*ml_lua_mark(thread) & ML_MARK_KNOWN) && ml_hooks_are_plain(thread);
    lua_pushvalue(L, lua_upvalueindex(1));
    if (is_free && lua_gettop(idle) < IDLE_GENERATORS && lua_checkstack(idle, 1))
        lua_xmove(L, idle, 1);
    else
        lua_pop(L, 1);
    lua_pushnil(L);
    lua_replace(L, lua_upvalueindex(1));
}

static bool has_ended(lua_State *thread)
{
    return ml_strand_state(ml_strand_of(thread)) == ML_STRAND_UNBOUND &&
           lua_status(thread) == LUA_OK;
}

static __attribute__((noinline)) int fail_to_resume(lua_State *L, lua_State *thread,
                                                    intptr_t cancellations)
{
    rethrow_from(L, thread, cancellations);
    return raise_from(L, thread);
}

static __attribute__((noinline)) int refuse_dead(lua_State *L)
{
    luaL_where(L, 1);
    lua_pushliteral(L, "cannot resume dead coroutine");
    lua_concat(L, 2);
    return lua_error(L);
}

/* Upvalue: the thread; nil once it has ended. */
static FLAT int wrapped(lua_State *L)
{
    lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
    if (ml_unlikely(thread == NULL))
        return refuse_dead(L);
    intptr_t cancellations = ml_cancellation_count(L);
    int count = ml_generator_resume(L, thread, lua_gettop(L));
    if (ml_unlikely(count < 0))
        return fail_to_resume(L, thread, cancellations);
    if (ml_unlikely(has_ended(thread)))
        give_up_thread(L, thread);
    return count;
}

static int coroutine_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *thread = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    return 1;
}

static int coroutine_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    push_thread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, lua_tothread(L, -2), 1);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

static int coroutine_close(lua_State *L)
{
    lua_State *thread = check_coroutine(L);
    intptr_t count = ml_cancellation_count(L);
    const char *status = ml_generator_status(L, thread);
    if (status == ml_generator_running || status == ml_generator_normal)
        return luaL_error(L, "cannot close a %s coroutine", status);
    if (ml_generator_close(thread) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_xmove(thread, L, 1); /* a thread with a value on it would count as suspended */
    ml_cancellation_rethrow(L, count);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

void ml_open_coroutine(lua_State *L)
{
    static const luaL_Reg functions[] = {{"running", coroutine_running},
                                         {"isyieldable", coroutine_isyieldable},
                                         {"status", coroutine_status},
                                         {"yield", coroutine_yield},
                                         {"resume", coroutine_resume},
                                         {"create", coroutine_create},
                                         {"wrap", coroutine_wrap},
                                         {"close", coroutine_close},
                                         {NULL, NULL}};
    ml_lua_of(L)->hub.hooks.strand_body = ml_strand_body;
    lua_getglobal(L, LUA_COLIBNAME);
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}
