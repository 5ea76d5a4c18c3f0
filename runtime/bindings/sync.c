/*** @submodule moonlet.sync */
/* The part of moonlet.sync that is written in C: mutex, semaphore, event, condition. */
#include "bindings/sync.h"
#include "base/error.h"
#include "bindings/blocking.h"
#include "bindings/modules.h"
#include "hub/scope.h"

#include <errno.h>
#include <stdio.h>

static const char mutex_type[] = "sync.mutex";
static const char semaphore_type[] = "sync.semaphore";
static const char permit_type[] = "sync.permit";
static const char condition_type[] = "sync.condition";
const char ml_event_type[] = "sync.event";

struct permit {
    struct ml_semaphore *semaphore; /* kept alive by user value 1; NULL: given back */
};

struct condition {
    struct ml_link waiters;
    bool has_mutex; /* user value 1 */
};

/* nil, "timeout", "ETIMEDOUT", or true. */
static int push_outcome(lua_State *L, int error)
{
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- mutex ---- */

/***
A lock for one task at a time. When its owner dies it is unlocked, with a warning that says where it was made.
@object Mutex
*/

/***
Makes a mutex.
@function mutex
@treturn Mutex free
*/
static int sync_mutex(lua_State *L)
{
    struct ml_mutex *mutex = ml_push_object(L, mutex_type, sizeof *mutex, 0);
    ml_mutex_init(mutex);
    ml_object_note_place(L, mutex);
    return 1;
}

static __attribute__((noinline)) int wait_for_mutex(lua_State *L, struct ml_mutex *mutex,
                                                    ml_time deadline)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (mutex->owner == hub->current)
        return luaL_error(L, "a task cannot lock a mutex that it holds already");
    if (deadline != ML_NEVER_WAIT)
        ml_blocking_begin(L);
    int error = ml_mutex_wait(hub, mutex, deadline);
    return deadline != ML_NEVER_WAIT ? ml_blocking_end(L, error) : error;
}

/***
Waits until the mutex is free and locks it; those who wait get it in the order in which they came.
@function Mutex:lock
@tparam[opt] number timeout seconds
@treturn Mutex itself, for `local guard <close> = mutex:lock()`: closing unlocks it if the task holds it; or
nil, "timeout", "ETIMEDOUT"
*/
static int mutex_lock(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, mutex_type);
    ml_time deadline = ml_check_deadline(L, 2);
    struct ml_hub *hub = ml_blocking_enter(L, deadline);
    int error = ml_likely(ml_mutex_try(hub, mutex)) ? 0 : wait_for_mutex(L, mutex, deadline);
    if (ml_unlikely(error != 0))
        return ml_push_failure(L, error);
    lua_settop(L, 1);
    return 1;
}

/***
Locks the mutex if it is free. Never waits.
@function Mutex:try_lock
@treturn boolean whether it was free and is locked now
*/
static int mutex_try_lock(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, mutex_type);
    lua_pushboolean(L, ml_mutex_try(ml_blocking_enter(L, ML_NEVER_WAIT), mutex));
    return 1;
}

/***
Never waits; an error if the task does not hold it.
@function Mutex:unlock
*/
static int mutex_unlock(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, mutex_type);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (ml_unlikely(mutex->owner == NULL))
        return luaL_error(L, "cannot unlock a mutex that is not locked");
    if (ml_unlikely(mutex->owner != hub->current))
        return luaL_error(L, "cannot unlock a mutex that task #%d holds", (int)mutex->owner->id);
    ml_mutex_unlock(hub, mutex);
    return 0;
}

/* __close: of a guard whose task unlocked it before there is nothing to do. */
static int mutex_close(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, mutex_type);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current != NULL && mutex->owner == hub->current)
        ml_mutex_unlock(hub, mutex);
    return 0;
}

static int mutex_tostring(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, mutex_type);
    lua_pushfstring(L, "sync.mutex made at %s (", ml_object_place(L, mutex));
    if (mutex->owner != NULL)
        lua_pushfstring(L, "held by task #%d)", (int)mutex->owner->id);
    else
        lua_pushliteral(L, "free)");
    lua_concat(L, 2);
    return 1;
}

/* A task may have forgotten one that it holds. */
static int mutex_gc(lua_State *L)
{
    struct ml_mutex *mutex = ml_to_object(L, 1);
    if (mutex->owner != NULL)
        ml_mutex_unlock(&ml_lua_of(L)->hub, mutex);
    return 0;
}

void ml_sync_release_all(struct ml_lua *lua, struct ml_task *task)
{
    struct ml_mutex *mutex;
    while ((mutex = ml_mutex_held_by(&lua->hub, task)) != NULL) {
        char text[192];
        snprintf(text, sizeof text,
                 "task #%llu ended while it held the mutex made at %s: it is unlocked",
                 (unsigned long long)task->id, ml_object_place(lua->aside, mutex));
        lua_warning(lua->aside, text, 0);
        ml_mutex_unlock(&lua->hub, mutex);
    }
}

/* ---- semaphore ---- */

/***
Permits, of which each task that holds one keeps others out. `#semaphore` is how many are left.
@object Semaphore
*/

/***
Makes a semaphore.
@function semaphore
@tparam[opt=1] integer permits that can be taken at once
@treturn Semaphore
*/
static int sync_semaphore(lua_State *L)
{
    lua_Integer permits = luaL_optinteger(L, 1, 1);
    luaL_argcheck(L, permits >= 0, 1, "permits cannot be negative");
    struct ml_semaphore *semaphore = ml_push_object(L, semaphore_type, sizeof *semaphore, 0);
    ml_semaphore_init(semaphore, permits);
    return 1;
}

static __attribute__((noinline)) int wait_for_permit(lua_State *L, struct ml_semaphore *semaphore,
                                                     ml_time deadline)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (deadline != ML_NEVER_WAIT)
        ml_blocking_begin(L);
    int error = ml_semaphore_wait(hub, semaphore, deadline);
    return deadline != ML_NEVER_WAIT ? ml_blocking_end(L, error) : error;
}

/* Takes a permit of the semaphore at 1, with the timeout at 2. */
static inline int acquire(lua_State *L)
{
    struct ml_semaphore *semaphore = ml_check_object(L, 1, semaphore_type);
    ml_time deadline = ml_check_deadline(L, 2);
    ml_blocking_enter(L, deadline);
    return ml_likely(ml_semaphore_try(semaphore)) ? 0 : wait_for_permit(L, semaphore, deadline);
}

/***
Waits for a permit and takes it; those who wait get them in the order in which they came.
@function Semaphore:acquire
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, "timeout", "ETIMEDOUT"; or nil, "closed", "CLOSED"
*/
static int semaphore_acquire(lua_State *L)
{
    return push_outcome(L, acquire(L));
}

/***
As acquire(), with something to give back at the end of a block: `local permit <close> = semaphore:hold()`. Waits.
@function Semaphore:hold
@tparam[opt] number timeout seconds
@treturn Permit or nil, "timeout", "ETIMEDOUT"; or nil, "closed", "CLOSED"
*/
static int semaphore_hold(lua_State *L)
{
    ml_check_object(L, 1, semaphore_type);
    lua_settop(L, 2);
    /* Made before: there may be no memory for it, and then nothing is taken. */
    struct permit *permit = ml_push_object(L, permit_type, sizeof *permit, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 3, 1);
    int error = acquire(L);
    if (error != 0)
        return ml_push_failure(L, error);
    permit->semaphore = ml_to_object(L, 1);
    lua_settop(L, 3);
    return 1;
}

/* Closing, finalizing, releasing: each once in all. */
static int permit_release(lua_State *L)
{
    struct permit *permit = ml_check_object(L, 1, permit_type);
    struct ml_semaphore *semaphore = permit->semaphore;
    permit->semaphore = NULL;
    if (semaphore != NULL && !ml_lua_of(L)->is_closing)
        ml_semaphore_release(&ml_lua_of(L)->hub, semaphore);
    return 0;
}

/***
A permit that was taken with Semaphore:hold. Closing gives it back; so does the collector.
@object Permit
*/

/***
Gives the permit back, once. Never waits.
@function Permit:close
*/

/***
The same as close().
@function Permit:release
*/

/***
Gives a permit back, or adds one. Never waits.
@function Semaphore:release
@tparam[opt=1] integer count
*/
static int semaphore_release(lua_State *L)
{
    struct ml_semaphore *semaphore = ml_check_object(L, 1, semaphore_type);
    lua_Integer count = luaL_optinteger(L, 2, 1);
    luaL_argcheck(L, count >= 0, 2, "count cannot be negative");
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    while (count-- > 0)
        ml_semaphore_release(hub, semaphore);
    return 0;
}

/***
From now on waiting for a permit gives nil, "closed", "CLOSED"; those that are left can be taken.
@function Semaphore:close
*/
static int semaphore_close(lua_State *L)
{
    ml_semaphore_close(&ml_lua_of(L)->hub, ml_check_object(L, 1, semaphore_type));
    return 0;
}

/* #semaphore: the permits that can be taken now. */
static int semaphore_length(lua_State *L)
{
    struct ml_semaphore *semaphore = ml_check_object(L, 1, semaphore_type);
    lua_pushinteger(L, semaphore->permits);
    return 1;
}

static int semaphore_tostring(lua_State *L)
{
    struct ml_semaphore *semaphore = ml_check_object(L, 1, semaphore_type);
    lua_pushfstring(L, "sync.semaphore (%I free%s)", (LUAI_UACINT)semaphore->permits,
                    semaphore->is_closed ? ", closed" : "");
    return 1;
}

/* ---- event ---- */

/***
Something that has happened or not.
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
All who wait go on, even if it is cleared before they run. Never waits.
@function Event:set
*/
static int event_set(lua_State *L)
{
    ml_event_set(&ml_lua_of(L)->hub, ml_check_object(L, 1, ml_event_type));
    return 0;
}

/***
It has not happened (any more). Never waits.
@function Event:clear
*/
static int event_clear(lua_State *L)
{
    struct ml_event *event = ml_check_object(L, 1, ml_event_type);
    event->is_set = false;
    return 0;
}

/***
Tells whether it has happened.
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
    if (deadline != ML_NEVER_WAIT)
        ml_blocking_begin(L);
    int error = ml_event_wait(hub, event, deadline);
    return deadline != ML_NEVER_WAIT ? ml_blocking_end(L, error) : error;
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
    return push_outcome(L, ml_likely(event->is_set) ? 0 : wait_for_event(L, event, deadline));
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
What tasks wait for until another notifies them.
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
        ml_check_object(L, 1, mutex_type);
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

/* Locks it whatever cancels the task meanwhile: the caller's own clean-up unlocks it. 0, or -ENOMEM: it is
 * not locked. */
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
        return push_outcome(L, -ETIMEDOUT);
    ml_blocking_begin(L);
    if (mutex != NULL)
        ml_mutex_unlock(hub, mutex);
    int error = ml_wait_granted(hub, &condition_kind, 0, &condition->waiters, 0, deadline);
    if (mutex != NULL && lock_again(hub, mutex) != 0)
        error = -ENOMEM;
    return push_outcome(L, ml_blocking_end(L, error));
}

/***
The one who has waited longest goes on. Never waits.
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
All who wait go on. Never waits.
@function Condition:notify_all
*/
static int condition_notify_all(lua_State *L)
{
    struct condition *condition = ml_check_object(L, 1, condition_type);
    ml_wake_all(&ml_lua_of(L)->hub, &condition->waiters);
    return 0;
}

/* ---- the module ---- */

static void open_types(lua_State *L)
{
    static const luaL_Reg mutex[] = {
        {"lock", mutex_lock}, {"try_lock", mutex_try_lock}, {"unlock", mutex_unlock}, {NULL, NULL}};
    static const luaL_Reg mutex_meta[] = {
        {"__close", mutex_close}, {"__gc", mutex_gc}, {"__tostring", mutex_tostring}, {NULL, NULL}};
    static const luaL_Reg semaphore[] = {{"acquire", semaphore_acquire},
                                         {"release", semaphore_release},
                                         {"hold", semaphore_hold},
                                         {"close", semaphore_close},
                                         {NULL, NULL}};
    static const luaL_Reg semaphore_meta[] = {
        {"__len", semaphore_length}, {"__tostring", semaphore_tostring}, {NULL, NULL}};
    static const luaL_Reg permit[] = {
        {"release", permit_release}, {"close", permit_release}, {NULL, NULL}};
    static const luaL_Reg permit_meta[] = {
        {"__close", permit_release}, {"__gc", permit_release}, {NULL, NULL}};
    static const luaL_Reg event[] = {{"set", event_set},
                                     {"clear", event_clear},
                                     {"wait", event_wait},
                                     {"is_set", event_is_set},
                                     {NULL, NULL}};
    static const luaL_Reg event_meta[] = {{"__tostring", event_tostring}, {NULL, NULL}};
    static const luaL_Reg condition[] = {{"wait", condition_wait},
                                         {"notify", condition_notify},
                                         {"notify_all", condition_notify_all},
                                         {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    ml_open_object_type(L, mutex_type, mutex, mutex_meta);
    ml_open_object_type(L, semaphore_type, semaphore, semaphore_meta);
    ml_open_object_type(L, permit_type, permit, permit_meta);
    ml_open_object_type(L, ml_event_type, event, event_meta);
    ml_open_object_type(L, condition_type, condition, none);
}

int ml_open_sync(lua_State *L)
{
    static const luaL_Reg functions[] = {{"mutex", sync_mutex},
                                         {"semaphore", sync_semaphore},
                                         {"event", sync_event},
                                         {"condition", sync_condition},
                                         {NULL, NULL}};
    open_types(L);
    luaL_newlib(L, functions);
    return 1;
}
