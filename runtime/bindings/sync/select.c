/*** @submodule moonlet.channel */
/* moonlet.channel.select: the first of several things that can happen. */
#include "bindings/sync/select.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/core/task_result.h"
#include "bindings/core/time_limit.h"
#include "bindings/sync/channel.h"
#include "bindings/sync/semaphore.h"
#include "bindings/sync/sync.h"
#include "hub/on/sync_primitives.h"
#include "hub/state/choice.h"
#include "hub/state/scope.h"
#include "hub/wait/slice.h"

#include <errno.h>
#include <string.h>

static const struct ml_wait_kind select_kind = {.text = "one of several things (select)"};
static const struct ml_wait_kind external_kind = {.text = "one of several things (select)",
                                                  .external = true};

/* From READABLE on: installed by folders above. */
enum operation {
    GET,
    PUT,
    JOIN,
    WAIT,
    ACQUIRE,
    READABLE,
    ACCEPT = READABLE + ML_SELECT_ACCEPT,
    RECEIVE = READABLE + ML_SELECT_RECEIVE,
    GONE = READABLE + ML_SELECT_GONE,
    SIGNAL = READABLE + ML_SELECT_SIGNAL,
    CHILD = READABLE + ML_SELECT_CHILD,
    NEXT = READABLE + ML_SELECT_NEXT,
    THREAD_GET = READABLE + ML_SELECT_THREAD_GET, /* "get" of a channel between threads */
    THREAD_PUT = READABLE + ML_SELECT_THREAD_PUT,
    OPERATIONS
};

/* Operations of one name take different objects. */
struct operation_kind {
    const char *name;
    const char *expected; /* told of another object */
    bool is_hint;         /* an event says only that the object is worth a look */
};

static const char awaited[] = "an event, a process or a listener to signals to wait for expected";

static const struct operation_kind kinds[OPERATIONS] = {
    [GET] = {"get", "a channel to get from, a queue or a future expected", false},
    [PUT] = {"put", "a channel to put into expected", false},
    [JOIN] = {"join", "a task to join expected", false},
    [WAIT] = {"wait", awaited, false},
    [ACQUIRE] = {"acquire", "a semaphore to acquire expected", false},
    [READABLE] = {"readable", "a stream to read from expected", true},
    [ACCEPT] = {"accept", "a listener to accept from expected", false},
    [RECEIVE] = {"receive", "a WebSocket to receive from expected", true},
    [GONE] = {"gone", "a request whose peer leaves expected", true},
    [SIGNAL] = {"wait", awaited, true},
    [CHILD] = {"wait", awaited, true},
    [NEXT] = {"next", "a watch of files expected", true},
    [THREAD_GET] = {"get", "a channel to get from, a queue or a future expected", true},
    [THREAD_PUT] = {"put", "a channel to put into expected", true},
};

/*
 * The stack of the call; from FIRST on it has so many values for each case. An object of a Lua
 * module is replaced by one of ours (its metatable's __select: operation -> {field, operation,
 * function}): then VALUE is the object itself, and FINISH is called with it for the results.
 */
enum {
    CASES = 1,
    FIRST = 2,
    OBJECT = 0,
    VALUE = 1,
    OPERATION = 2,
    FINISH = 3,
    PER_CASE = 4,
    MOST_CASES = 10000
};

_Static_assert(FIRST + MOST_CASES * PER_CASE < ML_WAITER_CLOSED, "a waiter's value is an index");

struct selection {
    uint32_t count;
    ml_time again;    /* when to look again without a wake-up; ML_FOREVER: never */
    bool is_short;    /* there was no descriptor for a connection */
    bool has_sources; /* an operation is from READABLE on */
    uint32_t entered; /* the cases, from the first on, whose waiters were put into place */
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

/* The source of an operation from READABLE on; NULL: no object of that kind was ever made. */
static const struct ml_select_source *source_of(lua_State *L, enum operation operation)
{
    return ml_lua_of(L)->select.sources[operation - READABLE];
}

/* The type of the objects that an operation takes. */
static const char *type_of(lua_State *L, enum operation operation)
{
    static const char *const types[READABLE] = {[GET] = ml_channel_type,
                                                [PUT] = ml_channel_type,
                                                [WAIT] = ml_event_type,
                                                [ACQUIRE] = ml_semaphore_type};
    if (operation < READABLE)
        return types[operation];
    const struct ml_select_source *source = source_of(L, operation);
    return source != NULL ? source->type : NULL;
}

static bool fits(lua_State *L, enum operation operation, int object)
{
    if (operation == JOIN)
        return luaL_testudata(L, object, ML_TASK_TYPE) != NULL;
    const char *type = type_of(L, operation);
    return type != NULL && lua_isuserdata(L, object) && ml_test_object(L, object, type) != NULL;
}

/* Of several operations of one name, the one for the object; else the first of that name. */
static enum operation operation_of(lua_State *L, uint32_t number)
{
    const char *name = lua_tostring(L, at(number, OPERATION));
    int named = OPERATIONS, found = OPERATIONS;
    for (int i = 0; name != NULL && i < OPERATIONS && found == OPERATIONS; i++) {
        if (strcmp(name, kinds[i].name) != 0)
            continue;
        if (fits(L, (enum operation)i, at(number, OBJECT)))
            found = i;
        named = named == OPERATIONS ? i : named;
    }
    if (named == OPERATIONS)
        return (enum operation)case_error(
            L, number,
            "\"get\", \"put\", \"join\", \"wait\", \"acquire\", \"readable\", \"accept\", "
            "\"receive\", \"gone\" or \"next\" expected");
    return (enum operation)(found != OPERATIONS ? found : named);
}

/* Stack: object, value, name of the operation. Replaces an object that stands for another one;
 * pushes FINISH. */
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

/* Pushes object, value, operation and the FINISH of a case. */
static void push_case(lua_State *L, uint32_t number)
{
    static const char *const none[] = {NULL};
    lua_rawgeti(L, CASES, (lua_Integer)number + 1);
    if (!lua_istable(L, -1))
        case_error(L, number, "a table {object, operation} expected");
    int table = lua_gettop(L);
    ml_check_names_beside_items(L, table, CASES, none);
    lua_rawgeti(L, table, 1);
    lua_rawgeti(L, table, 3);
    lua_rawgeti(L, table, 2);
    lua_remove(L, table);
    resolve(L);
    enum operation operation = operation_of(L, number);
    lua_pushinteger(L, operation);
    lua_replace(L, at(number, OPERATION));
    if (!fits(L, operation, at(number, OBJECT)))
        case_error(L, number, kinds[operation].expected);
    if ((operation == PUT || operation == THREAD_PUT) && lua_isnil(L, at(number, VALUE)))
        case_error(L, number, "a channel cannot carry nil");
}

static enum operation operation_at(lua_State *L, uint32_t number)
{
    return (enum operation)lua_tointeger(L, at(number, OPERATION));
}

static struct selection push_cases(lua_State *L)
{
    luaL_checktype(L, CASES, LUA_TTABLE);
    lua_settop(L, CASES);
    lua_Unsigned count = lua_rawlen(L, CASES);
    luaL_argcheck(L, count <= MOST_CASES, CASES, "too many cases");
    luaL_checkstack(L, (int)count * PER_CASE + 20, "too many cases");
    struct selection selection = {.count = (uint32_t)count, .again = ML_FOREVER};
    for (uint32_t i = 0; i < selection.count; i++) {
        push_case(L, i);
        selection.has_sources |= operation_at(L, i) >= READABLE;
    }
    return selection;
}

/* ---- outcomes ---- */

/* The results for a case that failed: its number, then the failure as from the operation itself. */
static int push_failed(lua_State *L, uint32_t number, int error)
{
    enum operation operation = operation_at(L, number);
    bool is_channel = operation == GET || operation == PUT;
    lua_pushinteger(L, (lua_Integer)number + 1);
    if (operation >= READABLE && source_of(L, operation)->fail != NULL)
        return 1 + source_of(L, operation)->fail(L, at(number, OBJECT), error);
    return 1 +
           (is_channel ? ml_channel_push_closed(L, at(number, OBJECT)) : ml_push_failure(L, error));
}

/* The results for a case that was done: its number and its value, which is on top of the stack for
 * GET and ACCEPT. */
static int push_done(lua_State *L, uint32_t number)
{
    lua_pushinteger(L, (lua_Integer)number + 1);
    switch (operation_at(L, number)) {
    case GET:
    case ACCEPT:
    case THREAD_GET:
        lua_insert(L, -2);
        return 2;
    case JOIN:
        return 1 + ml_lua_task_push_end(L, at(number, OBJECT));
    case RECEIVE:
    case SIGNAL:
    case NEXT:
        return 1 + source_of(L, operation_at(L, number))->finish(L, at(number, OBJECT));
    default:
        break;
    }
    int top = lua_gettop(L);
    if (lua_isnil(L, at(number, FINISH))) {
        lua_pushboolean(L, 1);
        return 2;
    }
    lua_pushvalue(L, at(number, FINISH));
    lua_pushvalue(L, at(number, VALUE));
    lua_call(L, 1, LUA_MULTRET);
    return 1 + lua_gettop(L) - top;
}

/* ---- trying ---- */

static int outcome_of(enum ml_channel_outcome outcome)
{
    return outcome == ML_CHANNEL_DONE ? 0 : outcome == ML_CHANNEL_CLOSED ? -ML_ECLOSED : -EAGAIN;
}

static int try_put(lua_State *L, uint32_t number)
{
    lua_pushvalue(L, at(number, VALUE));
    int error = outcome_of(ml_channel_try_put(L, ml_to_object(L, at(number, OBJECT))));
    if (error != 0)
        lua_pop(L, 1);
    return error;
}

static int try_acquire(struct ml_semaphore *semaphore)
{
    if (ml_semaphore_try(semaphore))
        return 0;
    return semaphore->is_closed ? -ML_ECLOSED : -EAGAIN;
}

static int try_source(lua_State *L, struct selection *selection, enum operation operation,
                      int index)
{
    int error = source_of(L, operation)->attempt(L, index);
    if (operation != ACCEPT || error != -ENOBUFS)
        return error;
    selection->is_short = true;
    return -EAGAIN;
}

/* 0: the case is done, with its value on top for GET and ACCEPT; -EAGAIN: it must wait; or an
 * error. */
static int try_operation(lua_State *L, struct selection *selection, uint32_t number)
{
    int index = at(number, OBJECT);
    enum operation operation = operation_at(L, number);
    if (operation == JOIN) {
        const struct ml_lua_task *task = lua_touserdata(L, index);
        return task->task.state == ML_TASK_ENDED ? 0 : -EAGAIN;
    }
    void *object = ml_to_object(L, index);
    switch (operation) {
    case GET:
        return outcome_of(ml_channel_try_get(L, object));
    case PUT:
        return try_put(L, number);
    case WAIT:
        return ((struct ml_event *)object)->is_set ? 0 : -EAGAIN;
    case ACQUIRE:
        return try_acquire(object);
    default:
        return try_source(L, selection, operation, index);
    }
}

/* Tries a case: the count of results if it could be done at once, else 0. */
static int try_case(lua_State *L, struct selection *selection, uint32_t number)
{
    int error = try_operation(L, selection, number);
    if (error == -EAGAIN)
        return 0;
    return error == 0 ? push_done(L, number) : push_failed(L, number, error);
}

/* Tries all cases, beginning with a different one each time: none of several that are always ready
 * starves. */
static int try_all(lua_State *L, struct selection *selection)
{
    struct ml_lua *lua = ml_lua_of(L);
    uint32_t count = selection->count;
    uint32_t start = count > 0 ? lua->select.turn++ % count : 0;
    int results = 0;
    selection->again = ML_FOREVER;
    selection->is_short = false;
    for (uint32_t i = 0; i < count && results == 0; i++)
        results = try_case(L, selection, (start + i) % count);
    return results;
}

/* ---- waiting ---- */

static struct ml_link *queue_of(lua_State *L, uint32_t number, enum operation operation)
{
    int index = at(number, OBJECT);
    switch (operation) {
    case GET:
        return &((struct ml_channel *)ml_to_object(L, index))->getters;
    case PUT:
        return &((struct ml_channel *)ml_to_object(L, index))->putters;
    case JOIN:
        return &((struct ml_lua_task *)lua_touserdata(L, index))->task.joiners;
    case WAIT:
        return &((struct ml_event *)ml_to_object(L, index))->waiters;
    case ACQUIRE:
        return &((struct ml_semaphore *)ml_to_object(L, index))->waiters;
    default:
        return NULL;
    }
}

/* Puts the waiter of a case where it can be granted. 0, or an error: look again. */
static int enter(lua_State *L, struct selection *selection, uint32_t number,
                 struct ml_waiter *waiter)
{
    enum operation operation = operation_at(L, number);
    waiter->value = (uint16_t)at(number, VALUE);
    if (operation >= READABLE)
        return source_of(L, operation)
            ->watch(ml_lua_of(L), ml_to_object(L, at(number, OBJECT)), waiter, selection->is_short,
                    &selection->again);
    ml_list_insert(queue_of(L, number, operation), &waiter->link);
    return 0;
}

static void leave(lua_State *L, const struct selection *selection)
{
    for (uint32_t i = 0; selection->has_sources && i < selection->entered; i++)
        if (operation_at(L, i) >= READABLE)
            source_of(L, operation_at(L, i))->unwatch(ml_to_object(L, at(i, OBJECT)));
}

/* After all waiters were put into place: whether an event from outside can end the wait. */
static const struct ml_wait_kind *kind_of(lua_State *L, const struct selection *selection)
{
    bool is_external = false;
    for (uint32_t i = 0; selection->has_sources && i < selection->count && !is_external; i++) {
        if (operation_at(L, i) < READABLE)
            continue;
        const struct ml_select_source *source = source_of(L, operation_at(L, i));
        is_external =
            source->is_external == NULL || source->is_external(ml_to_object(L, at(i, OBJECT)));
    }
    return is_external ? &external_kind : &select_kind;
}

/* Waits once. 0: *number is the case that was granted, or its closing (*is_closed); -EAGAIN: look
 * again; or an error. */
static int wait_once(lua_State *L, struct selection *selection, ml_time deadline, uint32_t *number,
                     bool *is_closed)
{
    struct ml_hub *hub = &ml_blocking_begin(L)->hub;
    struct ml_choice *choice = ml_choice_open(hub, selection->count);
    if (choice == NULL)
        return ml_blocking_end(L, -ENOMEM);
    int error = 0;
    selection->entered = 0;
    for (uint32_t i = 0; i < selection->count && error == 0; i++, selection->entered++)
        error = enter(L, selection, i, &choice->waiters[i]) == 0 ? 0 : -EAGAIN;
    if (error == 0)
        error = ml_wait_granted(hub, kind_of(L, selection), 0, NULL, 0,
                                ml_time_earlier(deadline, selection->again));
    if (error == -ETIMEDOUT && selection->again < deadline)
        error = -EAGAIN;
    if (error == 0 && hub->current->granted == 0)
        error = -EAGAIN;
    *number = error == 0 ? hub->current->granted - 1u : 0;
    *is_closed = error == 0 && choice->waiters[*number].value == ML_WAITER_CLOSED;
    ml_choice_close(hub->current);
    leave(L, selection);
    error = ml_blocking_end(L, error);
    enum operation operation = error == 0 ? operation_at(L, *number) : GET;
    return kinds[operation].is_hint ? -EAGAIN : error;
}

static int wait_for_any(lua_State *L, struct selection *selection, ml_time deadline)
{
    uint32_t number = 0;
    bool is_closed = false;
    int error = wait_once(L, selection, deadline, &number, &is_closed);
    while (error == -EAGAIN) {
        int results = try_all(L, selection);
        if (results > 0)
            return results;
        error = wait_once(L, selection, deadline, &number, &is_closed);
    }
    if (error != 0)
        return ml_push_failure(L, error);
    return is_closed ? push_failed(L, number, -ML_ECLOSED) : push_done(L, number);
}

/* Before the cases are tried: raises a cancellation, and lets others run if the task's descriptors
 * are always ready. */
static void enter_select(lua_State *L, const struct selection *selection)
{
    struct ml_hub *hub = ml_blocking_enter(L, ML_FOREVER);
    if (!selection->has_sources)
        return;
    ml_slice_spend(hub, 1);
    if (!ml_slice_is_over(hub))
        return;
    ml_blocking_begin(L);
    ml_blocking_end(L, ml_slice_end(hub));
}

/***
Waits for the first of several things that can happen. If several can at once, they take turns.
Channels between threads are channels, too.
@function select
@tparam table cases {channel, "get"}, {channel, "put", value}, {queue, "get"}, {future, "get"},
{semaphore, "acquire"}, {event, "wait"}, {task, "join"}, {stream, "readable"}, {listener, "accept"},
{ws, "receive"}, {req, "gone"} (of a server), {process, "wait"}, {listener to signals, "wait"},
{watch, "next"}, with the fields timeout (seconds) and default (any value: does not wait)
@return the number of the case and its results: the value, or the values of a future; true; the
connection; the results of t:join() or p:wait(); the name of the signal, and its value; the event of
a watch; or nil, message, "CLOSED" if it was closed. A stream is readable when a read would not
wait, also at its end and after an error. Or nil, "timeout", "ETIMEDOUT". Or "default" and its
value.
*/
int ml_channel_select(lua_State *L)
{
    static const char *const names[] = {"default", "timeout", NULL};
    struct selection selection = push_cases(L);
    ml_check_names_beside_items(L, CASES, CASES, names);
    lua_getfield(L, CASES, "default");
    lua_getfield(L, CASES, "timeout");
    lua_Number seconds = lua_tonumber(L, -1);
    bool is_number = lua_isnumber(L, -1) && seconds == seconds;
    luaL_argcheck(L, lua_isnil(L, -1) || is_number, CASES,
                  "option 'timeout' must be a number of seconds");
    ml_time deadline = ml_check_deadline(L, lua_gettop(L));
    lua_pop(L, 1);
    bool has_default = !lua_isnil(L, -1);
    if (ml_lua_of(L)->hub.current == NULL)
        ml_raise_no_task(L);
    if (deadline != ML_NEVER_WAIT && !has_default)
        enter_select(L, &selection);
    int results = try_all(L, &selection);
    if (results > 0)
        return results;
    if (has_default) {
        lua_pushliteral(L, "default");
        lua_insert(L, -2);
        return 2;
    }
    if (deadline == ML_NEVER_WAIT)
        return ml_push_failure(L, -ETIMEDOUT);
    return wait_for_any(L, &selection, deadline);
}
