/*** @submodule moonlet.sync */
/* The part of moonlet.sync that is written in C: events and conditions; mutexes and semaphores are
 * in the files of their names. */
#include "bindings/sync/sync.h"
#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/sync/mutex.h"
#include "bindings/sync/semaphore.h"
#include "hub/on/sync_primitives.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"

#include <errno.h>

static const char condition_type[] = "sync.condition";
const char ml_event_type[] = "sync.event";

struct condition {
    struct ml_link waiters;
    bool has_mutex; /* user value 1 */
};

/* ---- event ---- */

/***
An event: it has happened or not.
@object Event
*/

/***
Makes an event.
@function event
@treturn Event not set
*/
static int sync_event(lua_State *L)
{
    ml_event_init(ml_push_object(L, ml_event_type, sizeof(struct ml_event), 0));
    return 1;
}

/***
Sets it: all waiting tasks go on, even if it is cleared before they run. Never waits.
@function Event:set
*/
static int event_set(lua_State *L)
{
    ml_event_set(&ml_lua_of(L)->hub, ml_check_object(L, 1, ml_event_type));
    return 0;
}

/***
Clears it: it has not happened (any more). Never waits.
@function Event:clear
*/
static int event_clear(lua_State *L)
{
    struct ml_event *event = ml_check_object(L, 1, ml_event_type);
    event->is_set = false;
    return 0;
}

/***
Returns whether it has happened.
@function Event:is_set
@treturn boolean
*/
static int event_is_set(lua_State *L)
{
    const struct ml_event *event = ml_check_object(L, 1, ml_event_type);
    lua_pushboolean(L, event->is_set);
    return 1;
}

static __attribute__((noinline)) int wait_for_event(lua_State *L, struct ml_event *event,
                                                    ml_time deadline)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    ml_blocking_begin_until(L, deadline);
    int error = ml_event_wait(hub, event, deadline);
    return ml_blocking_end_until(L, deadline, error);
}

/***
Waits until it is set.
@function Event:wait
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, "timeout", "ETIMEDOUT"
*/
static int event_wait(lua_State *L)
{
    struct ml_event *event = ml_check_object(L, 1, ml_event_type);
    ml_time deadline = ml_check_deadline(L, 2);
    ml_blocking_enter(L, deadline);
    return ml_push_outcome(L, ml_likely(event->is_set) ? 0 : wait_for_event(L, event, deadline));
}

static int event_tostring(lua_State *L)
{
    const struct ml_event *event = ml_check_object(L, 1, ml_event_type);
    lua_pushfstring(L, "sync.event (%s)", event->is_set ? "set" : "not set");
    return 1;
}

/* ---- condition ---- */

static const struct ml_wait_kind condition_kind = {.text = "a condition"};

/***
A condition: tasks wait for it until another task notifies them.
@object Condition
*/

/***
Makes a condition.
@function condition
@tparam[opt] Mutex mutex unlocked while a task waits, locked again before it goes on
@treturn Condition
*/
static int sync_condition(lua_State *L)
{
    bool has_mutex = !lua_isnoneornil(L, 1);
    if (has_mutex)
        ml_check_object(L, 1, ml_mutex_type);
    lua_settop(L, 1);
    struct condition *condition = ml_push_object(L, condition_type, sizeof *condition, 1);
    ml_list_init(&condition->waiters);
    condition->has_mutex = has_mutex;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 1);
    return 1;
}

/* The mutex of the condition at 1, NULL without; the running task must hold it. */
static struct ml_mutex *held_mutex(lua_State *L, const struct condition *condition)
{
    if (!condition->has_mutex)
        return NULL;
    lua_getiuservalue(L, 1, 1);
    struct ml_mutex *mutex = ml_to_object(L, -1);
    if (mutex->owner != ml_lua_of(L)->hub.current)
        luaL_error(L, "waiting for a condition takes its mutex, which this task does not hold");
    return mutex;
}

/* Locks it even if the task is cancelled meanwhile: the caller's own clean-up unlocks it. 0, or
 * -ENOMEM: it is not locked. */
static int lock_again(struct ml_hub *hub, struct ml_mutex *mutex)
{
    if (ml_mutex_try(hub, mutex))
        return 0;
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
    if (shield == NULL)
        return -ENOMEM;
    int error = ml_mutex_wait(hub, mutex, ML_FOREVER);
    ml_scope_close(hub, shield);
    return error;
}

/***
Waits to be notified. With a mutex, which the task must hold: unlocks it meanwhile.
@function Condition:wait
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, "timeout", "ETIMEDOUT"
*/
static int condition_wait(lua_State *L)
{
    struct condition *condition = ml_check_object(L, 1, condition_type);
    ml_time deadline = ml_check_deadline(L, 2);
    struct ml_hub *hub = ml_blocking_enter(L, deadline);
    struct ml_mutex *mutex = held_mutex(L, condition);
    if (deadline == ML_NEVER_WAIT)
        return ml_push_outcome(L, -ETIMEDOUT);
    ml_blocking_begin(L);
    if (mutex != NULL)
        ml_mutex_unlock(hub, mutex);
    int error = ml_wait_granted(hub, &condition_kind, 0, &condition->waiters, 0, deadline);
    if (mutex != NULL && lock_again(hub, mutex) != 0)
        error = -ENOMEM;
    return ml_push_outcome(L, ml_blocking_end(L, error));
}

/***
Lets the tasks that have waited longest go on. Never waits.
@function Condition:notify
@tparam[opt=1] integer count
*/
static int condition_notify(lua_State *L)
{
    struct condition *condition = ml_check_object(L, 1, condition_type);
    lua_Integer count = luaL_optinteger(L, 2, 1);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    while (count-- > 0 && ml_wake_first(hub, &condition->waiters))
        ;
    return 0;
}

/***
Lets all waiting tasks go on. Never waits.
@function Condition:notify_all
*/
static int condition_notify_all(lua_State *L)
{
    struct condition *condition = ml_check_object(L, 1, condition_type);
    ml_wake_all(&ml_lua_of(L)->hub, &condition->waiters);
    return 0;
}

/* ---- the module ---- */

static void open_event_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"set", event_set},
                                       {"clear", event_clear},
                                       {"wait", event_wait},
                                       {"is_set", event_is_set},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__tostring", event_tostring}, {NULL, NULL}};
    ml_open_object_type(L, ml_event_type, methods, meta);
}

static void open_condition_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"wait", condition_wait},
                                       {"notify", condition_notify},
                                       {"notify_all", condition_notify_all},
                                       {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    ml_open_object_type(L, condition_type, methods, none);
}

int ml_open_sync(lua_State *L)
{
    static const luaL_Reg functions[] = {{"mutex", ml_sync_mutex},
                                         {"semaphore", ml_sync_semaphore},
                                         {"event", sync_event},
                                         {"condition", sync_condition},
                                         {NULL, NULL}};
    ml_open_mutex_type(L);
    ml_open_semaphore_type(L);
    open_event_type(L);
    open_condition_type(L);
    luaL_newlib(L, functions);
    return 1;
}
