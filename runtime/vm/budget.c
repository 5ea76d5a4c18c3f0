/*
 * The limit on the instructions of a task between two waits (options.instruction_limit). Beyond it
 * the task is ended as if cancelled, and again at every further look. A task that goes on in spite
 * of that is dropped where it stands, its variables not closed. The count is the task's: over all
 * its generators and greenlets. Each of these is charged a whole look when it begins, since Lua
 * counts anew on every thread.
 *
 * Lua calls no hook in a finalizer, nor in the message handler of an error that a hook raises. So
 * scripts have no finalizers of their own here, and handlers do not see cancellations. Nor does it
 * after an error has left a hook, until a protected call has caught it: so each thread begins with
 * one, and closing variables are watched.
 */
#include "vm/budget.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/report.h"
#include "bindings/core/story.h"
#include "bindings/core/task_body.h"
#include "bindings/core/traceback.h"
#include "bindings/core/weak_table.h"
#include "hub/state/scope.h"
#include "vm/charged.h"
#include "vm/moonlet_state.h"
#include "vm/overrun_report.h"
#include "vm/sandbox.h"

#include <lualib.h>
#include <stdio.h>

/* Instructions between two looks. */
enum { LOOK = ML_HOOK_PIECE };

/* A task may take so many times the limit to end. */
enum { GRACE = 4 };

/* Key in the registry of the table thread -> traceback of the error that ended it. */
static const char tracebacks_key;

/* ---- the count ---- */

static void tell(struct moonlet *m, struct ml_lua_task *task)
{
    char text[ML_TASK_TEXT];
    size_t length = ml_task_text(text, m, &task->task);
    snprintf(text + length, sizeof text - length,
             "was ended: more than %lu instructions without a wait", m->options.instruction_limit);
    task->is_over_limit = true;
    m->lua.report.tell(&m->lua, text);
    m->lua.report.was_told = true;
}

static void charge(struct moonlet *m, uint64_t instructions)
{
    struct ml_task *task = m->lua.hub.current;
    uint64_t looks = (m->uncounted + instructions) / LOOK;
    m->uncounted = (unsigned)((m->uncounted + instructions) % LOOK);
    if (task != NULL)
        task->computed += looks < UINT32_MAX - task->computed ? (uint32_t)looks : 0;
}

/* Ends the running task, whose code runs on L, if it is over its limit. */
static void check(lua_State *L, struct moonlet *m)
{
    struct ml_lua_task *task = ml_lua_task_of(m->lua.hub.current);
    unsigned long computed = (unsigned long)task->task.computed * LOOK;
    if (computed <= m->options.instruction_limit)
        return;
    if (!task->is_over_limit)
        tell(m, task);
    /* Functions at the end of a task run on a state of the runtime's, which must not be abandoned.
     */
    if (computed / GRACE > m->options.instruction_limit && !m->lua.report.is_composed)
        ml_lua_task_restart(&m->lua, ML_RUN_OVERRUN);
    ml_task_cancel(&task->task);
    ml_cancellation_raise(L);
}

/* Called before a C function repeats something so many times, unwatched. */
static void charge_call(lua_State *L, lua_Unsigned times)
{
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    lua_Unsigned enough = m->options.instruction_limit + (lua_Unsigned)LOOK;
    if (m->lua.hub.current == NULL || times < LOOK)
        return;
    charge(m, times < enough ? times : enough);
    check(L, m);
}

static void on_look(lua_State *L, lua_Debug *event)
{
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    if (m->lua.hub.current == NULL)
        return;
    (void)event;
    charge(m, (unsigned)lua_gethookcount(L));
    check(L, m);
}

static void on_restart(struct ml_lua *lua)
{
    charge(ml_moonlet_of(lua), LOOK);
}

static void check_again(lua_State *L)
{
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    if (m->lua.hub.current != NULL)
        check(L, m);
}

/* ---- how threads begin ---- */

/* Stack: the thread's traceback. */
static int keep_generator_traceback(lua_State *L)
{
    lua_State *thread = lua_touserdata(L, 1);
    luaL_traceback(L, thread, NULL, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tracebacks_key);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    return 0;
}

/* Message handler at the bottom of a thread: the error is not caught, and its frames are about to
 * go. */
static int keep_traceback(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_task *current = lua->hub.current;
    if (current == NULL || ml_is_cancellation(L, 1) || !lua_checkstack(L, 2))
        return 1;
    if (ml_lua_task_of(current)->L == L) {
        ml_report_keep_traceback(lua, ml_lua_task_of(current), 1);
    } else if ((*ml_lua_mark(L) & ML_MARK_GREENLET) != 0) {
        ml_story_note(lua, ml_lua_task_of(current), L, 1);
    } else {
        lua_pushcfunction(lua->aside, keep_generator_traceback);
        lua_pushlightuserdata(lua->aside, L);
        if (lua_pcall(lua->aside, 1, 0, 0) != LUA_OK)
            lua_pop(lua->aside, 1);
    }
    return 1;
}

static int protected_results(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status != LUA_OK && status != LUA_YIELD)
        return lua_error(L);
    return lua_gettop(L) - 1;
}

/* Stack: message handler, function, arguments. */
static int call_protected(lua_State *L)
{
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, protected_results);
    return protected_results(L, status, 0);
}

void ml_budget_watch(lua_State *L, lua_State *thread)
{
    struct moonlet *m = ml_moonlet_of(ml_lua_of(thread));
    if (L != NULL && m->lua.hub.current != NULL) {
        charge(m, LOOK);
        check(L, m);
    }
    lua_pushcfunction(thread, call_protected);
    lua_pushcfunction(thread, keep_traceback);
    lua_rotate(thread, 1, 2);
    ml_hooks_attend(thread);
}

/* ---- replaced functions ---- */

/* The message handler that xpcall() gets instead of the one in the upvalue. */
static int handle_message(lua_State *L)
{
    if (ml_is_cancellation(L, 1))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* Upvalue: xpcall. Stack: function, handler, arguments. */
static int call_with_handler(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_message, 1);
    lua_replace(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* Upvalue: setmetatable, or that of the debug library. */
static int set_metatable(lua_State *L)
{
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_argerror(L, 2, "no finalizer (__gc) under an instruction limit");
        lua_pop(L, 1);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* debug.traceback as without a limit: the frames of a thread that failed are gone, and the lowest
 * one is ours. */
static int traceback(lua_State *L)
{
    lua_State *thread = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    int message = thread != L || lua_isthread(L, 1) ? 2 : 1;
    if (!lua_isstring(L, message) && !lua_isnoneornil(L, message)) {
        lua_pushvalue(L, message);
        return 1;
    }
    const char *text = lua_tostring(L, message);
    int level = (int)luaL_optinteger(L, message + 1, thread == L ? 1 : 0);
    lua_settop(L, message);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tracebacks_key);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    if (lua_status(thread) > LUA_YIELD && lua_rawget(L, -2) == LUA_TSTRING)
        lua_pushfstring(L, "%s%s%s", text != NULL ? text : "", text != NULL ? "\n" : "",
                        lua_tostring(L, -1));
    else
        luaL_traceback(L, thread, text, level);
    ml_strip_bottom_frame(L);
    return 1;
}

static void replace_debug(lua_State *L)
{
    lua_getglobal(L, LUA_DBLIBNAME);
    lua_pushcfunction(L, traceback);
    lua_setfield(L, -2, "traceback");
    lua_getfield(L, -1, "setmetatable");
    lua_pushcclosure(L, set_metatable, 1);
    lua_setfield(L, -2, "setmetatable");
    lua_getfield(L, -1, "getmetatable");
    lua_pushcclosure(L, ml_sandbox_getmetatable, 1);
    lua_setfield(L, -2, "getmetatable");
    lua_pop(L, 1);
}

void ml_budget_open(lua_State *L)
{
    static const struct ml_hook_kind limit = {LUA_MASKCOUNT, LOOK, on_look, on_restart,
                                              check_again};
    static const luaL_Reg watched[] = {{"xpcall", call_with_handler},
                                       {"setmetatable", set_metatable},
                                       {"getmetatable", ml_sandbox_getmetatable},
                                       {NULL, NULL}};
    for (const luaL_Reg *function = watched; function->name != NULL; function++) {
        lua_getglobal(L, function->name);
        lua_pushcclosure(L, function->func, 1);
        lua_setglobal(L, function->name);
    }
    replace_debug(L);
    ml_charged_open(L, charge_call);
    ml_push_weak_table(L, "k");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &tracebacks_key);
    struct ml_lua *lua = ml_lua_of(L);
    lua->watch_thread = ml_budget_watch;
    ml_hooks_install(lua, ML_HOOK_LIMIT, &limit);
    ml_hooks_stand(lua, ML_HOOK_LIMIT);
    ml_hooks_refresh(lua->main);
    ml_hooks_refresh(lua->aside);
}
