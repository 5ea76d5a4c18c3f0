/*** @submodule moonlet.sync */
/* Mutexes, and the release of those whose owner has ended. */
#include "bindings/sync/mutex.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "hub/on/sync_primitives.h"

#include <stdio.h>

const char ml_mutex_type[] = "sync.mutex";

/***
A lock for one task at a time. If its owner ends, it is unlocked, with a warning that says where it
was made.
@object Mutex
*/

/***
Makes a mutex.
@function mutex
@treturn Mutex free
*/
int ml_sync_mutex(lua_State *L)
{
    struct ml_mutex *mutex = ml_push_object(L, ml_mutex_type, sizeof *mutex, 0);
    ml_mutex_init(mutex);
    ml_object_note_source_line(L, mutex);
    return 1;
}

static __attribute__((noinline)) int wait_for_mutex(lua_State *L, struct ml_mutex *mutex,
                                                    ml_time deadline)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (mutex->owner == hub->current)
        return luaL_error(L, "a task cannot lock a mutex that it holds already");
    ml_blocking_begin_until(L, deadline);
    int error = ml_mutex_wait(hub, mutex, deadline);
    return ml_blocking_end_until(L, deadline, error);
}

/***
Waits until the mutex is free and locks it. Waiting tasks get it in the order in which they came.
@function Mutex:lock
@tparam[opt] number timeout seconds
@treturn Mutex itself, for `local guard <close> = mutex:lock()`: closing unlocks it if the task
holds it; or nil, "timeout", "ETIMEDOUT"
*/
static int mutex_lock(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, ml_mutex_type);
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
    struct ml_mutex *mutex = ml_check_object(L, 1, ml_mutex_type);
    lua_pushboolean(L, ml_mutex_try(ml_blocking_enter(L, ML_NEVER_WAIT), mutex));
    return 1;
}

/***
Unlocks the mutex; an error if the task does not hold it. Never waits.
@function Mutex:unlock
*/
static int mutex_unlock(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, ml_mutex_type);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (ml_unlikely(mutex->owner == NULL))
        return luaL_error(L, "cannot unlock a mutex that is not locked");
    if (ml_unlikely(mutex->owner != hub->current))
        return luaL_error(L, "cannot unlock a mutex that task #%d holds", (int)mutex->owner->id);
    ml_mutex_unlock(hub, mutex);
    return 0;
}

/* __close: does nothing for a guard whose task unlocked the mutex before. */
static int mutex_close(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, ml_mutex_type);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current != NULL && mutex->owner == hub->current)
        ml_mutex_unlock(hub, mutex);
    return 0;
}

static int mutex_tostring(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, ml_mutex_type);
    lua_pushfstring(L, "sync.mutex made at %s (", ml_object_source_line(L, mutex));
    if (mutex->owner != NULL)
        lua_pushfstring(L, "held by task #%d)", (int)mutex->owner->id);
    else
        lua_pushliteral(L, "free)");
    lua_concat(L, 2);
    return 1;
}

/* A task may have dropped a mutex that it holds. */
static int mutex_gc(lua_State *L)
{
    struct ml_mutex *mutex = ml_check_object(L, 1, ml_mutex_type);
    if (mutex->owner != NULL)
        ml_mutex_unlock(&ml_lua_of(L)->hub, mutex);
    return 0;
}

/* Unlocks the mutexes that an ended task still holds, each with a warning. */
static void release_all(struct ml_lua *lua, struct ml_task *task)
{
    struct ml_mutex *mutex;
    while ((mutex = ml_mutex_held_by(&lua->hub, task)) != NULL) {
        char text[192];
        snprintf(text, sizeof text,
                 "task #%llu ended while it held the mutex made at %s: it is unlocked",
                 (unsigned long long)task->id, ml_object_source_line(lua->aside, mutex));
        if (!lua->hub.life.is_forked) /* in a fork the task is the parent's, and goes on there */
            lua_warning(lua->aside, text, 0);
        ml_mutex_unlock(&lua->hub, mutex);
    }
}

void ml_open_mutex_type(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"lock", mutex_lock}, {"try_lock", mutex_try_lock}, {"unlock", mutex_unlock}, {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__close", mutex_close}, {"__gc", mutex_gc}, {"__tostring", mutex_tostring}, {NULL, NULL}};
    ml_open_object_type(L, ml_mutex_type, methods, meta);
    ml_lua_of(L)->task_hooks.release_mutexes = release_all;
}
