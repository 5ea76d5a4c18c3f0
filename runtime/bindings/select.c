/*** @submodule moonlet.channel */
/* moonlet.channel.select: the first of several things that can happen. */
#include "base/error.h"
#include "bindings/blocking.h"
#include "bindings/channel.h"
#include "bindings/lua_task.h"
#include "bindings/sync.h"
#include "bindings/task_view.h"
#include "hub/choice.h"
#include "hub/scope.h"

#include <errno.h>
#include <string.h>

static const struct ml_wait_kind select_kind = {.text = "one of several things (select)"};

enum operation { GET, PUT, JOIN, WAIT };

/* What is on the stack of the call, from FIRST on three values for each case. */
enum {
    CASES = 1,
    FIRST = 2,
    OBJECT = 0,
    VALUE = 1,
    OPERATION = 2,
    PER_CASE = 3,
    MOST_CASES = 10000
};

static int at(uint32_t number, int part)
{
    return FIRST + (int)number * PER_CASE + part;
}

/* ---- reading the cases ---- */

static int case_error(lua_State *L, uint32_t number, const char *what)
{
    return luaL_error(L, "bad argument #1 to 'select' (case %d: %s)", (int)number + 1, what);
}

static enum operation operation_of(lua_State *L, uint32_t number)
{
    static const char *const names[] = {"get", "put", "join", "wait"};
    const char *name = lua_tostring(L, -1);
    for (int i = 0; name != NULL && i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum operation)i;
    return (enum operation)case_error(L, number, "\"get\", \"put\", \"join\" or \"wait\" expected");
}

static bool fits(lua_State *L, enum operation operation, int object)
{
    switch (operation) {
    case GET:
    case PUT:
        return ml_test_object(L, object, ml_channel_type) != NULL;
    case JOIN:
        return luaL_testudata(L, object, ML_TASK_TYPE) != NULL;
    case WAIT:
        return ml_test_object(L, object, ml_event_type) != NULL;
    }
    return false;
}

/* Fields with a name that is not known are mistakes in typing; those with a number are cases, or parts of one. */
static void check_field_names(lua_State *L, int table, const char *const names[])
{
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        bool is_known = lua_isinteger(L, -2);
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        for (int i = 0; names[i] != NULL && !is_known; i++)
            is_known = strcmp(names[i], name) == 0;
        if (!is_known)
            luaL_argerror(L, CASES,
                          lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -2, NULL)));
    }
}

/* Pushes object, value, operation of a case. */
static void push_case(lua_State *L, uint32_t number)
{
    static const char *const expected[] = {
        "a channel to get from expected", "a channel to put into expected",
        "a task to join expected", "an event to wait for expected"};
    static const char *const none[] = {NULL};
    lua_rawgeti(L, CASES, (lua_Integer)number + 1);
    if (!lua_istable(L, -1))
        case_error(L, number, "a table {object, operation} expected");
    int table = lua_gettop(L);
    check_field_names(L, table, none);
    lua_rawgeti(L, table, 2);
    enum operation operation = operation_of(L, number);
    lua_pop(L, 1);
    lua_rawgeti(L, table, 1);
    lua_rawgeti(L, table, 3);
    lua_pushinteger(L, operation);
    lua_remove(L, table);
    if (!fits(L, operation, at(number, OBJECT)))
        case_error(L, number, expected[operation]);
    if (operation == PUT && lua_isnil(L, at(number, VALUE)))
        case_error(L, number, "a channel cannot carry nil");
}

static uint32_t push_cases(lua_State *L)
{
    luaL_checktype(L, CASES, LUA_TTABLE);
    lua_settop(L, CASES);
    lua_Unsigned count = lua_rawlen(L, CASES);
    luaL_argcheck(L, count <= MOST_CASES, CASES, "too many cases");
    luaL_checkstack(L, (int)count * PER_CASE + 20, "too many cases");
    for (uint32_t i = 0; i < count; i++)
        push_case(L, i);
    return (uint32_t)count;
}

static enum operation operation_at(lua_State *L, uint32_t number)
{
    return (enum operation)lua_tointeger(L, at(number, OPERATION));
}

/* ---- outcomes ---- */

/* A case of a channel that was closed: its number, then as get() and put() fail. */
static int push_closed(lua_State *L, uint32_t number)
{
    lua_pushinteger(L, (lua_Integer)number + 1);
    return 1 + ml_channel_push_closed(L, at(number, OBJECT));
}

/* The number of the case that was done, and its value: on top of the stack for GET. */
static int push_done(lua_State *L, uint32_t number, enum operation operation)
{
    lua_pushinteger(L, (lua_Integer)number + 1);
    switch (operation) {
    case GET:
        lua_insert(L, -2);
        return 2;
    case JOIN:
        return 1 + ml_lua_task_push_end(L, at(number, OBJECT));
    default:
        lua_pushboolean(L, 1);
        return 2;
    }
}

/* Tries a case: the count of results if it could be done at once, else 0. */
static int try_case(lua_State *L, uint32_t number)
{
    enum operation operation = operation_at(L, number);
    enum ml_channel_outcome outcome = ML_CHANNEL_MUST_WAIT;
    switch (operation) {
    case GET:
        outcome = ml_channel_try_get(L, ml_to_object(L, at(number, OBJECT)));
        break;
    case PUT:
        lua_pushvalue(L, at(number, VALUE));
        outcome = ml_channel_try_put(L, ml_to_object(L, at(number, OBJECT)));
        if (outcome != ML_CHANNEL_DONE)
            lua_pop(L, 1);
        break;
    case JOIN: {
        const struct ml_lua_task *task = lua_touserdata(L, at(number, OBJECT));
        outcome = task->task.state == ML_TASK_ENDED ? ML_CHANNEL_DONE : ML_CHANNEL_MUST_WAIT;
        break;
    }
    case WAIT: {
        const struct ml_event *event = ml_to_object(L, at(number, OBJECT));
        outcome = event->is_set ? ML_CHANNEL_DONE : ML_CHANNEL_MUST_WAIT;
        break;
    }
    }
    if (outcome == ML_CHANNEL_CLOSED)
        return push_closed(L, number);
    return outcome == ML_CHANNEL_DONE ? push_done(L, number, operation) : 0;
}

/* Tries all, beginning with a different one each time: none of several that are always ready starves. */
static int try_all(lua_State *L, uint32_t count)
{
    struct ml_lua *lua = ml_lua_of(L);
    uint32_t start = count > 0 ? lua->select_turn++ % count : 0;
    int results = 0;
    for (uint32_t i = 0; i < count && results == 0; i++)
        results = try_case(L, (start + i) % count);
    return results;
}

/* ---- waiting ---- */

static struct ml_link *queue_of(lua_State *L, uint32_t number, enum operation operation)
{
    switch (operation) {
    case GET:
        return &((struct ml_channel *)ml_to_object(L, at(number, OBJECT)))->getters;
    case PUT:
        return &((struct ml_channel *)ml_to_object(L, at(number, OBJECT)))->putters;
    case JOIN:
        return &((struct ml_lua_task *)lua_touserdata(L, at(number, OBJECT)))->task.joiners;
    case WAIT:
        return &((struct ml_event *)ml_to_object(L, at(number, OBJECT)))->waiters;
    }
    return NULL;
}

static int wait_for_any(lua_State *L, uint32_t count, ml_time deadline)
{
    struct ml_hub *hub = &ml_blocking_begin(L)->hub;
    struct ml_choice *choice = ml_choice_open(hub, count);
    if (choice == NULL)
        return ml_blocking_end(L, -ENOMEM);
    for (uint32_t i = 0; i < count; i++) {
        choice->waiters[i].value = (uint16_t)at(i, VALUE);
        ml_list_insert(queue_of(L, i, operation_at(L, i)), &choice->waiters[i].link);
    }
    int error = ml_choice_wait(hub, &select_kind, deadline);
    uint32_t number = error == 0 ? hub->current->granted - 1u : 0;
    bool is_closed = error == 0 && choice->waiters[number].value == ML_WAITER_CLOSED;
    ml_choice_close(hub->current);
    error = ml_blocking_end(L, error);
    if (error != 0)
        return ml_push_failure(L, error);
    return is_closed ? push_closed(L, number) : push_done(L, number, operation_at(L, number));
}

/***
Waits for the first of several things that can happen; if several can at once, each gets its turn.
@function select
@tparam table cases {channel, "get"}, {channel, "put", value}, {task, "join"}, {event, "wait"}, with the fields
timeout (seconds) and default (any value: nothing is waited for)
@return the number of the case, and what it gave: the value; true; what t:join() returns; for a closed
channel nil, message, "CLOSED". Or nil, "timeout", "ETIMEDOUT". Or "default" and its value.
*/
int ml_channel_select(lua_State *L)
{
    static const char *const names[] = {"default", "timeout", NULL};
    uint32_t count = push_cases(L);
    check_field_names(L, CASES, names);
    lua_getfield(L, CASES, "default");
    lua_getfield(L, CASES, "timeout");
    luaL_argcheck(L, lua_isnil(L, -1) || lua_isnumber(L, -1), CASES,
                  "option 'timeout' must be a number");
    ml_time deadline = ml_check_deadline(L, lua_gettop(L));
    lua_pop(L, 1);
    bool has_default = !lua_isnil(L, -1);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current == NULL)
        ml_raise_no_task(L);
    if (deadline != ML_NEVER_WAIT && !has_default && ml_cancel_point(hub) != 0)
        ml_blocking_end(L, -ECANCELED);
    int results = try_all(L, count);
    if (results > 0)
        return results;
    if (has_default) {
        lua_pushliteral(L, "default");
        lua_insert(L, -2);
        return 2;
    }
    if (deadline == ML_NEVER_WAIT)
        return ml_push_failure(L, -ETIMEDOUT);
    return wait_for_any(L, count, deadline);
}
