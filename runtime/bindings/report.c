/*** @submodule moonlet.task */
#include "bindings/report.h"
#include "bindings/task_view.h"

#include "bindings/attribute.h"
#include "bindings/blocking.h"

#include <stdio.h>
#include <string.h>

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

/* Stack: the Task, the error value, a traceback or nil. Puts that of the Task in place of nil. */
static void complete(lua_State *L)
{
    struct ml_lua_task *task = lua_touserdata(L, 1);
    if (!lua_isnil(L, 3))
        return;
    if (task->has_traceback)
        ml_attribute_get(L, ML_ATTRIBUTE_TRACEBACK, 1);
    else
        ml_lua_push_traceback(L, task, NULL, 0);
    lua_replace(L, 3);
}

/* Stack: as before -> the report. */
static int compose(lua_State *L)
{
    complete(L);
    ml_lua_push_task_text(L, 1);
    lua_pushliteral(L, " failed: ");
    push_error_text(L, 2);
    lua_pushliteral(L, "\n");
    lua_pushvalue(L, 3);
    lua_concat(L, 5);
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

/* Stack: as before. */
static int call_handler(lua_State *L)
{
    complete(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key);
    lua_insert(L, 1);
    lua_call(L, 3, 0);
    return 0;
}

static bool has_handler(lua_State *L)
{
    bool has = lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

/* Lua would make a string of a number, which needs memory, and nothing here may raise. */
const char *ml_error_chars(lua_State *L, int index, char text[ML_ERROR_NUMBER])
{
    if (lua_type(L, index) == LUA_TSTRING)
        return lua_tostring(L, index);
    if (lua_type(L, index) != LUA_TNUMBER)
        return NULL;
    if (lua_isinteger(L, index))
        snprintf(text, ML_ERROR_NUMBER, LUA_INTEGER_FMT, (LUAI_UACINT)lua_tointeger(L, index));
    else
        snprintf(text, ML_ERROR_NUMBER, LUA_NUMBER_FMT, (LUAI_UACNUMBER)lua_tonumber(L, index));
    if (!lua_isinteger(L, index) && text[strspn(text, "-0123456789")] == '\0')
        strcat(text, ".0");
    return text;
}

void ml_report_callback_failure(struct ml_lua *lua, const char *what)
{
    char text[ML_ERROR_NUMBER];
    const char *message = ml_error_chars(lua->aside, -1, text);
    lua->has_reported = true;
    lua->report(lua, message != NULL ? message : what);
}

/* Calls `function` with the three values on top; returns how it ended. */
static int call_with_all(lua_State *aside, lua_CFunction function, int results)
{
    lua_pushcfunction(aside, function);
    for (int i = 0; i < 3; i++)
        lua_pushvalue(aside, -4);
    return lua_pcall(aside, 3, results, 0);
}

/* Whether a report could be composed, and was told. The stack stays as it was. */
static bool tell_as(struct ml_lua *lua, lua_CFunction composer)
{
    lua_State *aside = lua->aside;
    bool is_composed = call_with_all(aside, composer, 1) == LUA_OK;
    if (is_composed)
        lua->report(lua, lua_tostring(aside, -1));
    lua_pop(aside, 1);
    return is_composed;
}

static void tell_people(struct ml_lua *lua)
{
    char number[ML_ERROR_NUMBER];
    lua->has_reported = true;
    if (tell_as(lua, compose) || tell_as(lua, compose_without_text))
        return;
    const char *text = ml_error_chars(lua->aside, -2, number);
    lua->report(lua, text != NULL ? text : "a task failed, and its error could not be told");
}

/* The Task, the error value and a traceback or nil stand on top of the state aside. They are popped. */
static void tell(struct ml_lua *lua)
{
    lua_State *aside = lua->aside;
    int top = lua_gettop(aside);
    bool was_reporting = lua->is_reporting;
    lua->is_reporting = true;
    if (!has_handler(aside)) {
        tell_people(lua);
    } else if (call_with_all(aside, call_handler, 0) != LUA_OK) {
        ml_report_callback_failure(lua, "the on_error function failed");
        lua_settop(aside, top);
        tell_people(lua);
    }
    lua_settop(aside, top - 3);
    lua->is_reporting = was_reporting;
}

/* All on the state aside, for the task's thread is dead. */
void ml_report_failure(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_State *aside = lua->aside;
    task->parked_on = task->L;
    ml_lua_push_task(aside, task);
    lua_pushvalue(task->L, -1);
    lua_xmove(task->L, aside, 1);
    lua_pushnil(aside);
    tell(lua);
}

/* Stack: the Task, the level. */
static int keep_traceback(lua_State *L)
{
    struct ml_lua_task *task = lua_touserdata(L, 1);
    ml_lua_push_traceback(L, task, NULL, (int)lua_tointeger(L, 2));
    ml_attribute_set(L, ML_ATTRIBUTE_TRACEBACK, 1);
    return 0;
}

void ml_report_keep_traceback(struct ml_lua *lua, struct ml_lua_task *task, int level)
{
    lua_State *aside = lua->aside;
    if (task->has_traceback)
        return;
    task->parked_on = task->L;
    lua_pushcfunction(aside, keep_traceback);
    ml_lua_push_task(aside, task);
    lua_pushinteger(aside, level);
    task->has_traceback = lua_pcall(aside, 2, 0, 0) == LUA_OK;
    if (!task->has_traceback)
        lua_pop(aside, 1);
}

/***
Reports an error as that of the calling task which nobody joins: to the function given to on_error(), or to
people. For servers and the like that catch the errors of code they run. Never waits.
@function report
@param err any value
@tparam[opt] string traceback where it was raised; without it the caller's
*/
int ml_task_report(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    luaL_checkany(L, 1);
    luaL_argexpected(L, lua_isnoneornil(L, 2) || lua_isstring(L, 2), 2, "string");
    lua_settop(L, 2);
    if (lua->hub.current == NULL)
        ml_raise_no_task(L);
    struct ml_lua_task *task = ml_lua_task_of(lua->hub.current);
    ml_lua_push_task(L, task);
    lua_insert(L, 1);
    if (lua_isnil(L, 3)) {
        ml_lua_push_traceback(L, task, NULL, 0);
        lua_replace(L, 3);
    }
    lua_xmove(L, lua->aside, 3);
    tell(lua);
    return 0;
}

void ml_report_set_handler(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key);
    lua_insert(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handler_key);
}
