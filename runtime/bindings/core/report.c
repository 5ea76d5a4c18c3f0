/*** @submodule moonlet.task */
#include "bindings/core/report.h"
#include "bindings/core/task_view.h"

#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/story.h"
#include "bindings/core/task_attribute.h"
#include "bindings/core/traceback.h"
#include "hub/state/trace.h"

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
    else if (task->outcome != ML_OUTCOME_NONE && task->L == NULL)
        lua_pushliteral(L, "");
    else
        ml_lua_push_traceback(L, task, NULL);
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

/* Lua would convert a number to a string, which needs memory, and nothing here may raise. */
const char *ml_error_chars(lua_State *L, int index, char text[ML_ERROR_NUMBER])
{
    if (lua_type(L, index) == LUA_TSTRING)
        return lua_tostring(L, index);
    if (lua_type(L, index) != LUA_TNUMBER)
        return NULL;
    if (lua_isinteger(L, index)) {
        snprintf(text, ML_ERROR_NUMBER, LUA_INTEGER_FMT, (LUAI_UACINT)lua_tointeger(L, index));
        return text;
    }
    int length =
        snprintf(text, ML_ERROR_NUMBER, LUA_NUMBER_FMT, (LUAI_UACNUMBER)lua_tonumber(L, index));
    if (text[strspn(text, "-0123456789")] == '\0')
        snprintf(text + length, (size_t)(ML_ERROR_NUMBER - length), ".0");
    return text;
}

/* Message handler. */
static int add_traceback(lua_State *L)
{
    push_error_text(L, 1);
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    return 1;
}

/* Stack: a description of the function, as light userdata, the Task, the function, its arguments.
 * Returns nil, or the text of its error. */
static int call_told(lua_State *L)
{
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, 3);
    if (lua_pcall(L, lua_gettop(L) - 4, 0, 3) == LUA_OK) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushfstring(L, "%s ", (const char *)lua_touserdata(L, 1));
    ml_lua_push_task_text(L, 2);
    lua_pushliteral(L, " failed: ");
    lua_pushvalue(L, 4);
    lua_concat(L, 4);
    return 1;
}

bool ml_report_call(struct ml_lua *lua, const char *what, int handle, int arguments)
{
    enum { OWN = 3 };
    lua_State *aside = lua->aside;
    handle = lua_absindex(aside, handle);
    bool was_reporting = lua->report.is_composed;
    lua->report.is_composed = true;
    lua_pushcfunction(aside, call_told);
    lua_pushlightuserdata(aside, (void *)what);
    lua_pushvalue(aside, handle);
    lua_rotate(aside, -(arguments + 1 + OWN), OWN);
    lua_pcall(aside, arguments + OWN, 1, 0);
    bool is_good = lua_isnil(aside, -1);
    if (!is_good) {
        char text[ML_ERROR_NUMBER];
        const char *message = ml_error_chars(aside, -1, text);
        lua->report.was_told = true;
        lua->report.tell(lua, message != NULL ? message : what);
    }
    lua_pop(aside, 1);
    lua->report.is_composed = was_reporting;
    return is_good;
}

/* Pushes `function` and the three values on top, again. */
static void push_with_all(lua_State *aside, lua_CFunction function)
{
    lua_pushcfunction(aside, function);
    for (int i = 0; i < 3; i++)
        lua_pushvalue(aside, -4);
}

/* Composes a report and gives it to its receiver; false: composing failed. The stack stays as it
 * was. */
static bool tell_as(struct ml_lua *lua, lua_CFunction composer)
{
    lua_State *aside = lua->aside;
    push_with_all(aside, composer);
    bool is_composed = lua_pcall(aside, 3, 1, 0) == LUA_OK;
    if (is_composed)
        lua->report.tell(lua, lua_tostring(aside, -1));
    lua_pop(aside, 1);
    return is_composed;
}

static void tell_people(struct ml_lua *lua)
{
    char number[ML_ERROR_NUMBER];
    lua->report.was_told = true;
    if (tell_as(lua, compose) || tell_as(lua, compose_without_text))
        return;
    const char *text = ml_error_chars(lua->aside, -2, number);
    lua->report.tell(lua, text != NULL ? text : "a task failed, and its error could not be shown");
}

/* Stack: as before. The trace gets the error. */
static __attribute__((noinline)) void tell_trace(struct ml_lua *lua)
{
    char number[ML_ERROR_NUMBER];
    ml_trace_tell(lua->hub.trace, ML_TRACE_ERROR, ml_error_chars(lua->aside, -2, number));
}

/* Pops the Task, the error value and a traceback or nil from the state aside and reports the error.
 */
static void tell(struct ml_lua *lua)
{
    lua_State *aside = lua->aside;
    int top = lua_gettop(aside);
    if (ml_unlikely(lua->hub.trace != NULL))
        tell_trace(lua);
    bool was_reporting = lua->report.is_composed;
    lua->report.is_composed = true;
    if (!has_handler(aside)) {
        tell_people(lua);
    } else {
        push_with_all(aside, call_handler);
        if (!ml_report_call(lua, "the on_error function called for", top - 2, 3))
            tell_people(lua);
    }
    lua_settop(aside, top - 3);
    lua->report.is_composed = was_reporting;
}

/* Runs on the state aside, because the task's thread is dead. */
static void tell_error(struct ml_lua *lua, struct ml_lua_task *task, lua_State *thread)
{
    lua_State *aside = lua->aside;
    task->parked_on = thread;
    ml_lua_push_task(aside, task);
    lua_pushvalue(thread, -1);
    lua_xmove(thread, aside, 1);
    lua_pushnil(aside);
    tell(lua);
}

void ml_report_failure(struct ml_lua *lua, struct ml_lua_task *task)
{
    tell_error(lua, task, task->L);
}

/* Calls `function` with the Task, a copy of the error on top of `thread`, one of its own, and the
 * level; returns whether that succeeded. */
static bool call_with_error(struct ml_lua *lua, struct ml_lua_task *task, lua_State *thread,
                            lua_CFunction function, int level, int results)
{
    lua_State *aside = lua->aside;
    task->parked_on = thread;
    lua_pushcfunction(aside, function);
    ml_lua_push_task(aside, task);
    lua_pushvalue(thread, -1);
    lua_xmove(thread, aside, 1);
    lua_pushinteger(aside, level);
    bool is_done = lua_pcall(aside, 3, results, 0) == LUA_OK;
    if (!is_done)
        lua_pop(aside, 1);
    return is_done;
}

void ml_report_keep_traceback(struct ml_lua *lua, struct ml_lua_task *task, int level)
{
    task->has_traceback = call_with_error(lua, task, task->L, ml_story_keep, level, 0);
}

void ml_report_keep_closing(struct ml_lua *lua, struct ml_lua_task *task)
{
    if (call_with_error(lua, task, task->L, ml_story_keep_closing, 0, 0))
        task->has_traceback = true;
}

static void warn_of_closing(lua_State *aside, lua_State *thread)
{
    char number[ML_ERROR_NUMBER];
    const char *text = ml_error_chars(thread, -1, number);
    lua_warning(aside, "error in a closing variable, at the end of the program: ", 1);
    lua_warning(aside, text != NULL ? text : luaL_typename(thread, -1), 0);
}

void ml_report_closing(struct ml_lua *lua, struct ml_lua_task *task, lua_State *thread)
{
    if (ml_is_cancellation(thread, -1))
        return;
    if (task == lua->tasks.main) {
        warn_of_closing(lua->aside, thread);
        return;
    }
    if (call_with_error(lua, task, thread, ml_story_keep_closing, 0, 0))
        task->has_traceback = true;
    tell_error(lua, task, thread);
    task->has_traceback = false;
    task->parked_on = task->L;
}

bool ml_report_first_is_replaced(struct ml_lua *lua, struct ml_lua_task *task)
{
    lua_State *aside = lua->aside;
    if (!task->has_traceback || !call_with_error(lua, task, task->L, ml_story_take_first, 0, 2))
        return false;
    bool is_replaced = lua_toboolean(aside, -1);
    lua_pop(aside, 1);
    if (!is_replaced) {
        lua_pop(task->L, 1);
        lua_xmove(aside, task->L, 1);
    } else {
        lua_pop(aside, 1);
    }
    return is_replaced;
}

void ml_report_ended(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    lua_xmove(L, lua->aside, 2);
    lua_pushnil(lua->aside);
    tell(lua);
}

/***
Reports an error as if the calling task had failed with it and no task joined: to the function given
to on_error(), or on stderr. For servers and the like that catch the errors of code they run. Never
waits.
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
        ml_lua_push_traceback(L, task, NULL);
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
