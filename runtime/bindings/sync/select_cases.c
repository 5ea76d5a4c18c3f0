#include "bindings/sync/select_cases.h"

#include "bindings/core/lua_task.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/sync/channel.h"
#include "bindings/sync/select_source.h"
#include "bindings/sync/semaphore.h"
#include "bindings/sync/sync.h"
#include "hub/state/choice.h"

#include <lauxlib.h>
#include <string.h>

_Static_assert(ML_CASE_FIRST + ML_CASES_MOST * ML_CASE_PARTS < ML_WAITER_CLOSED,
               "a waiter's value is an index");

/* Operations of one name take different objects. */
struct operation_kind {
    const char *name;
    const char *expected; /* told of another object */
    bool is_hint;         /* an event says only that the object is worth a look */
};

static const char awaited[] = "an event, a process or a listener to signals to wait for expected";

static const struct operation_kind kinds[ML_CASE_OPERATIONS] = {
    [ML_CASE_GET] = {"get", "a channel to get from, a queue or a future expected", false},
    [ML_CASE_PUT] = {"put", "a channel to put into expected", false},
    [ML_CASE_JOIN] = {"join", "a task to join expected", false},
    [ML_CASE_WAIT] = {"wait", awaited, false},
    [ML_CASE_ACQUIRE] = {"acquire", "a semaphore to acquire expected", false},
    [ML_CASE_READABLE] = {"readable", "a stream to read from expected", true},
    [ML_CASE_ACCEPT] = {"accept", "a listener to accept from expected", false},
    [ML_CASE_RECEIVE] = {"receive", "a WebSocket to receive from expected", true},
    [ML_CASE_GONE] = {"gone", "a request whose peer leaves expected", true},
    [ML_CASE_SIGNAL] = {"wait", awaited, true},
    [ML_CASE_CHILD] = {"wait", awaited, true},
    [ML_CASE_NEXT] = {"next", "a watch of files expected", true},
    [ML_CASE_THREAD_GET] = {"get", "a channel to get from, a queue or a future expected", true},
    [ML_CASE_THREAD_PUT] = {"put", "a channel to put into expected", true},
};

static int case_error(lua_State *L, uint32_t number, const char *what)
{
    return luaL_error(L, "bad argument #1 to 'select' (case %d: %s)", (int)number + 1, what);
}

const struct ml_select_source *ml_case_source(lua_State *L, enum ml_case_operation operation)
{
    return ml_lua_of(L)->select.sources[operation - ML_CASE_READABLE];
}

/* The type of the objects that an operation takes. */
static const char *type_of(lua_State *L, enum ml_case_operation operation)
{
    static const char *const types[ML_CASE_READABLE] = {[ML_CASE_GET] = ml_channel_type,
                                                        [ML_CASE_PUT] = ml_channel_type,
                                                        [ML_CASE_WAIT] = ml_event_type,
                                                        [ML_CASE_ACQUIRE] = ml_semaphore_type};
    if (operation < ML_CASE_READABLE)
        return types[operation];
    const struct ml_select_source *source = ml_case_source(L, operation);
    return source != NULL ? source->type : NULL;
}

static bool fits(lua_State *L, enum ml_case_operation operation, int object)
{
    if (operation == ML_CASE_JOIN)
        return luaL_testudata(L, object, ML_TASK_TYPE) != NULL;
    const char *type = type_of(L, operation);
    return type != NULL && lua_isuserdata(L, object) && ml_test_object(L, object, type) != NULL;
}

/* Of several operations of one name, the one for the object; else the first of that name. */
static enum ml_case_operation operation_of(lua_State *L, uint32_t number)
{
    const char *name = lua_tostring(L, ml_case_at(number, ML_CASE_OPERATION));
    int named = ML_CASE_OPERATIONS, found = ML_CASE_OPERATIONS;
    for (int i = 0; name != NULL && i < ML_CASE_OPERATIONS && found == ML_CASE_OPERATIONS; i++) {
        if (strcmp(name, kinds[i].name) != 0)
            continue;
        if (fits(L, (enum ml_case_operation)i, ml_case_at(number, ML_CASE_OBJECT)))
            found = i;
        named = named == ML_CASE_OPERATIONS ? i : named;
    }
    if (named == ML_CASE_OPERATIONS)
        return (enum ml_case_operation)case_error(
            L, number,
            "\"get\", \"put\", \"join\", \"wait\", \"acquire\", \"readable\", \"accept\", "
            "\"receive\", \"gone\" or \"next\" expected");
    return (enum ml_case_operation)(found != ML_CASE_OPERATIONS ? found : named);
}

/* Stack: object, value, name of the operation. Replaces an object that stands for another one;
 * pushes ML_CASE_FINISH. */
static void resolve(lua_State *L)
{
    int name = lua_gettop(L), value = name - 1, object = name - 2;
    if (ml_likely(!lua_istable(L, object))) {
        lua_pushnil(L);
        return;
    }
    bool stands_for = luaL_getmetafield(L, object, "__select") == LUA_TTABLE;
    if (stands_for) {
        lua_pushvalue(L, name);
        stands_for = lua_rawget(L, -2) == LUA_TTABLE;
    }
    lua_settop(L, stands_for ? name + 2 : name + 1);
    if (!stands_for) {
        lua_pushnil(L);
        lua_replace(L, name + 1);
        return;
    }
    lua_copy(L, object, value);
    lua_rawgeti(L, name + 2, 1);
    lua_rawget(L, value);
    lua_replace(L, object);
    lua_rawgeti(L, name + 2, 2);
    lua_replace(L, name);
    lua_rawgeti(L, name + 2, 3);
    lua_replace(L, name + 1);
    lua_settop(L, name + 1);
}

/* Pushes object, value, operation and the ML_CASE_FINISH of a case. */
static void push_case(lua_State *L, uint32_t number)
{
    static const char *const none[] = {NULL};
    lua_rawgeti(L, ML_CASES, (lua_Integer)number + 1);
    if (!lua_istable(L, -1))
        case_error(L, number, "a table {object, operation} expected");
    int table = lua_gettop(L);
    ml_check_names_beside_items(L, table, ML_CASES, none);
    lua_rawgeti(L, table, 1);
    lua_rawgeti(L, table, 3);
    lua_rawgeti(L, table, 2);
    lua_remove(L, table);
    resolve(L);
    enum ml_case_operation operation = operation_of(L, number);
    lua_pushinteger(L, operation);
    lua_replace(L, ml_case_at(number, ML_CASE_OPERATION));
    if (!fits(L, operation, ml_case_at(number, ML_CASE_OBJECT)))
        case_error(L, number, kinds[operation].expected);
    if ((operation == ML_CASE_PUT || operation == ML_CASE_THREAD_PUT) &&
        lua_isnil(L, ml_case_at(number, ML_CASE_VALUE)))
        case_error(L, number, "a channel cannot carry nil");
}

bool ml_case_is_hint(enum ml_case_operation operation)
{
    return kinds[operation].is_hint;
}

uint32_t ml_cases_push(lua_State *L, bool *has_sources)
{
    luaL_checktype(L, ML_CASES, LUA_TTABLE);
    lua_settop(L, ML_CASES);
    lua_Unsigned count = lua_rawlen(L, ML_CASES);
    luaL_argcheck(L, count <= ML_CASES_MOST, ML_CASES, "too many cases");
    luaL_checkstack(L, (int)count * ML_CASE_PARTS + 20, "too many cases");
    *has_sources = false;
    for (uint32_t i = 0; i < count; i++) {
        push_case(L, i);
        *has_sources |= ml_case_operation_at(L, i) >= ML_CASE_READABLE;
    }
    return (uint32_t)count;
}
