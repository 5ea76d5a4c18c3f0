#include "bindings/report.h"

/* Key in the registry of the function given to task.on_error(). */
static const char handler_key;

/* Pushes the text of an error value, as lua5.4 shows it. */
static void push_error_text(lua_State *L, int value)
{
    if (lua_isstring(L, value))
        lua_pushvalue(L, value);
    else if (!luaL_callmeta(L, value, "__tostring") || !lua_isstring(L, -1))
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, value));
}

/* Stack: the Task, the error value -> the report. */
static int compose(lua_State *L)
{
    struct ml_lua_task *task = lua_touserdata(L, 1);
    ml_lua_push_task_text(L, 1);
    lua_pushliteral(L, " failed: ");
    push_error_text(L, 2);
    lua_replace(L, 2);
    lua_pushvalue(L, 2);
    lua_concat(L, 3);
    ml_lua_push_traceback(L, task, lua_tostring(L, -1));
    return 1;
}

/* The same for an error value whose __tostring fails, too. */
static int compose_without_text(lua_State *L)
{
    lua_pushfstring(L, "(error object is a %s value, and its __tostring fails)",
                    luaL_typename(L, 2));
    lua_replace(L, 2);
    return compose(L);
}

/* Stack: the Task, the error value. */
static int call_handler(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key);
    lua_insert(L, 1);
    ml_lua_push_traceback(L, lua_touserdata(L, 2), NULL);
    lua_call(L, 3, 0);
    return 0;
}

static bool has_handler(lua_State *L)
{
    bool has = lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

void ml_report_callback_failure(struct ml_lua *lua, const char *what)
{
    const char *message = lua_tostring(lua->aside, -1);
    lua->has_reported = true;
    lua->report(lua, message != NULL ? message : what);
}

/* Calls `function` with the Task and the error value, which both stand on top; returns how it ended. */
static int call_with_both(lua_State *aside, lua_CFunction function, int results)
{
    lua_pushcfunction(aside, function);
    lua_pushvalue(aside, -3);
    lua_pushvalue(aside, -3);
    return lua_pcall(aside, 2, results, 0);
}

/* Whether a report could be composed, and was told. The stack stays as it was. */
static bool tell_as(struct ml_lua *lua, lua_CFunction composer)
{
    lua_State *aside = lua->aside;
    bool is_composed = call_with_both(aside, composer, 1) == LUA_OK;
    if (is_composed)
        lua->report(lua, lua_tostring(aside, -1));
    lua_pop(aside, 1);
    return is_composed;
}

static void tell(struct ml_lua *lua)
{
    lua->has_reported = true;
    if (!tell_as(lua, compose) && !tell_as(lua, compose_without_text))
        lua->report(lua, "a task failed, and its error could not be told");
}

/* All on the state aside, for the task's thread is dead. */
void ml_report_failure(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_State *aside = lua->aside;
    int top = lua_gettop(aside);
    lua->is_reporting = true;
    task->parked_on = task->L;
    ml_lua_push_task(aside, task);
    lua_pushvalue(task->L, -1);
    lua_xmove(task->L, aside, 1);
    if (!has_handler(aside)) {
        tell(lua);
    } else if (call_with_both(aside, call_handler, 0) != LUA_OK) {
        ml_report_callback_failure(lua, "the on_error function failed");
        lua_settop(aside, top + 2);
        tell(lua);
    }
    lua_settop(aside, top);
    lua->is_reporting = false;
}

void ml_report_set_handler(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key);
    lua_insert(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handler_key);
}
