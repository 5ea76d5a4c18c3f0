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
#include "bindings/sync/select_cases.h"
#include "bindings/sync/select_source.h"
#include "bindings/sync/semaphore.h"
#include "bindings/sync/sync.h"
#include "hub/on/sync_primitives.h"
#include "hub/state/choice.h"
#include "hub/state/scope.h"
#include "hub/wait/slice.h"

#include <errno.h>

static const struct ml_wait_kind select_kind = {.text = "one of several things (select)"};
static const struct ml_wait_kind external_kind = {.text = "one of several things (select)",
                                                  .external = true};

struct selection {
    uint32_t count;
    ml_time again;    /* when to look again without a wake-up; ML_FOREVER: never */
    bool is_short;    /* there was no descriptor for a connection */
    bool has_sources; /* an operation is from ML_CASE_READABLE on */
    uint32_t entered; /* the cases, from the first on, whose waiters were put into place */
};

/* ---- outcomes ---- */

/* The results for a case that failed: its number, then the failure as from the operation itself. */
static int push_failed(lua_State *L, uint32_t number, int error)
{
    enum ml_case_operation operation = ml_case_operation_at(L, number);
    bool is_channel = operation == ML_CASE_GET || operation == ML_CASE_PUT;
    lua_pushinteger(L, (lua_Integer)number + 1);
    if (operation >= ML_CASE_READABLE && ml_case_source(L, operation)->fail != NULL)
        return 1 + ml_case_source(L, operation)->fail(L, ml_case_at(number, ML_CASE_OBJECT), error);
    return 1 + (is_channel ? ml_channel_push_closed(L, ml_case_at(number, ML_CASE_OBJECT))
                           : ml_push_failure(L, error));
}

/* The results for a case that was done: its number and its value, which is on top of the stack for
 * ML_CASE_GET and ML_CASE_ACCEPT. */
static int push_done(lua_State *L, uint32_t number)
{
    lua_pushinteger(L, (lua_Integer)number + 1);
    switch (ml_case_operation_at(L, number)) {
    case ML_CASE_GET:
    case ML_CASE_ACCEPT:
    case ML_CASE_THREAD_GET:
        lua_insert(L, -2);
        return 2;
    case ML_CASE_JOIN:
        return 1 + ml_lua_task_push_end(L, ml_case_at(number, ML_CASE_OBJECT));
    case ML_CASE_RECEIVE:
    case ML_CASE_SIGNAL:
    case ML_CASE_NEXT:
        return 1 + ml_case_source(L, ml_case_operation_at(L, number))
                       ->finish(L, ml_case_at(number, ML_CASE_OBJECT));
    default:
        break;
    }
    int top = lua_gettop(L);
    if (lua_isnil(L, ml_case_at(number, ML_CASE_FINISH))) {
        lua_pushboolean(L, 1);
        return 2;
    }
    lua_pushvalue(L, ml_case_at(number, ML_CASE_FINISH));
    lua_pushvalue(L, ml_case_at(number, ML_CASE_VALUE));
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
    lua_pushvalue(L, ml_case_at(number, ML_CASE_VALUE));
    int error =
        outcome_of(ml_channel_try_put(L, ml_to_object(L, ml_case_at(number, ML_CASE_OBJECT))));
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

static int try_source(lua_State *L, struct selection *selection, enum ml_case_operation operation,
                      int index)
{
    int error = ml_case_source(L, operation)->attempt(L, index);
    if (operation != ML_CASE_ACCEPT || error != -ENOBUFS)
        return error;
    selection->is_short = true;
    return -EAGAIN;
}

/* 0: the case is done, with its value on top for ML_CASE_GET and ML_CASE_ACCEPT; -EAGAIN: it must
 * wait; or an error. */
static int try_operation(lua_State *L, struct selection *selection, uint32_t number)
{
    int index = ml_case_at(number, ML_CASE_OBJECT);
    enum ml_case_operation operation = ml_case_operation_at(L, number);
    if (operation == ML_CASE_JOIN) {
        const struct ml_lua_task *task = lua_touserdata(L, index);
        return task->task.state == ML_TASK_ENDED ? 0 : -EAGAIN;
    }
    void *object = ml_to_object(L, index);
    switch (operation) {
    case ML_CASE_GET:
        return outcome_of(ml_channel_try_get(L, object));
    case ML_CASE_PUT:
        return try_put(L, number);
    case ML_CASE_WAIT:
        return ((struct ml_event *)object)->is_set ? 0 : -EAGAIN;
    case ML_CASE_ACQUIRE:
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

static struct ml_link *queue_of(lua_State *L, uint32_t number, enum ml_case_operation operation)
{
    int index = ml_case_at(number, ML_CASE_OBJECT);
    switch (operation) {
    case ML_CASE_GET:
        return &((struct ml_channel *)ml_to_object(L, index))->getters;
    case ML_CASE_PUT:
        return &((struct ml_channel *)ml_to_object(L, index))->putters;
    case ML_CASE_JOIN:
        return &((struct ml_lua_task *)lua_touserdata(L, index))->task.joiners;
    case ML_CASE_WAIT:
        return &((struct ml_event *)ml_to_object(L, index))->waiters;
    case ML_CASE_ACQUIRE:
        return &((struct ml_semaphore *)ml_to_object(L, index))->waiters;
    default:
        return NULL;
    }
}

/* Puts the waiter of a case where it can be granted. 0, or an error: look again. */
static int enter(lua_State *L, struct selection *selection, uint32_t number,
                 struct ml_waiter *waiter)
{
    enum ml_case_operation operation = ml_case_operation_at(L, number);
    waiter->value = (uint16_t)ml_case_at(number, ML_CASE_VALUE);
    if (operation >= ML_CASE_READABLE)
        return ml_case_source(L, operation)
            ->watch(ml_lua_of(L), ml_to_object(L, ml_case_at(number, ML_CASE_OBJECT)), waiter,
                    selection->is_short, &selection->again);
    ml_list_insert(queue_of(L, number, operation), &waiter->link);
    return 0;
}

static void leave(lua_State *L, const struct selection *selection)
{
    for (uint32_t i = 0; selection->has_sources && i < selection->entered; i++)
        if (ml_case_operation_at(L, i) >= ML_CASE_READABLE)
            ml_case_source(L, ml_case_operation_at(L, i))
                ->unwatch(ml_to_object(L, ml_case_at(i, ML_CASE_OBJECT)));
}

/* After all waiters were put into place: whether an event from outside can end the wait. */
static const struct ml_wait_kind *kind_of(lua_State *L, const struct selection *selection)
{
    bool is_external = false;
    for (uint32_t i = 0; selection->has_sources && i < selection->count && !is_external; i++) {
        if (ml_case_operation_at(L, i) < ML_CASE_READABLE)
            continue;
        const struct ml_select_source *source = ml_case_source(L, ml_case_operation_at(L, i));
        is_external = source->is_external == NULL ||
                      source->is_external(ml_to_object(L, ml_case_at(i, ML_CASE_OBJECT)));
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
    enum ml_case_operation operation = error == 0 ? ml_case_operation_at(L, *number) : ML_CASE_GET;
    return ml_case_is_hint(operation) ? -EAGAIN : error;
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
    struct selection selection = {.again = ML_FOREVER};
    selection.count = ml_cases_push(L, &selection.has_sources);
    ml_check_names_beside_items(L, ML_CASES, ML_CASES, names);
    lua_getfield(L, ML_CASES, "default");
    lua_getfield(L, ML_CASES, "timeout");
    lua_Number seconds = lua_tonumber(L, -1);
    bool is_number = lua_isnumber(L, -1) && seconds == seconds;
    luaL_argcheck(L, lua_isnil(L, -1) || is_number, ML_CASES,
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
