/*
 * The limit on what a task computes between two waits (options.instruction_limit). Beyond it the task is ended as
 * if cancelled, and again at every further look; one that goes on in spite of that is dropped where it stands,
 * its variables not closed.
 *
 * Lua looks at no hook in a finalizer, nor in the message handler of an error that a hook raises: scripts have no
 * finalizers of their own here, and handlers are not told of cancellations.
 */
#include "bindings/cancellation.h"
#include "bindings/lua_task.h"
#include "hub/scope.h"
#include "vm/moonlet_state.h"

#include <stdio.h>

/* Instructions between two looks. */
enum { LOOK = 1000 };

/* How many times the limit a task may still take to end. */
enum { GRACE = 4 };

static void tell(struct moonlet *m, struct ml_task *task)
{
    char text[ML_TASK_TEXT];
    size_t length = ml_task_text(text, m, task);
    snprintf(text + length, sizeof text - length,
             "was ended: more than %lu instructions without a wait", m->options.instruction_limit);
    m->lua.report(&m->lua, text);
    m->lua.has_reported = true;
}

static void on_look(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    if (m->lua.hub.current == NULL)
        return;
    struct ml_lua_task *task = ml_lua_task_of(m->lua.hub.current);
    unsigned long computed = (unsigned long)++task->computed * LOOK;
    if (computed <= m->options.instruction_limit)
        return;
    if (computed <= m->options.instruction_limit + LOOK && !task->task.was_cancelled)
        tell(m, &task->task);
    /* What is called at the end of a task runs on a state of the runtime's, which is not to be left. */
    if (computed / GRACE > m->options.instruction_limit && !m->lua.is_reporting)
        ml_lua_task_restart(&m->lua, ML_RUN_OVERRUN);
    ml_task_cancel(&task->task);
    ml_cancellation_raise(L);
}

/*
 * An error out of a hook leaves hooks switched off on its thread, until a protected call has caught it: closing
 * variables would run unwatched. Stack: the task's function and its arguments.
 */
static int call_protected(lua_State *L)
{
    if (lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) != LUA_OK)
        return lua_error(L);
    return lua_gettop(L);
}

void ml_budget_watch(lua_State *L)
{
    lua_pushcfunction(L, call_protected);
    lua_insert(L, 1);
    lua_sethook(L, on_look, LUA_MASKCOUNT, LOOK);
}

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

/* Upvalue: setmetatable. */
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

/* Upvalue: getmetatable. Those of userdata have finalizers, which would be replaced. */
static int get_metatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TUSERDATA) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

void ml_budget_open(lua_State *L)
{
    static const luaL_Reg watched[] = {{"xpcall", call_with_handler},
                                       {"setmetatable", set_metatable},
                                       {"getmetatable", get_metatable},
                                       {NULL, NULL}};
    for (const luaL_Reg *function = watched; function->name != NULL; function++) {
        lua_getglobal(L, function->name);
        lua_pushcclosure(L, function->func, 1);
        lua_setglobal(L, function->name);
    }
    lua_sethook(ml_lua_of(L)->aside, on_look, LUA_MASKCOUNT, LOOK);
}
