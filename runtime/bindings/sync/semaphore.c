/*** @submodule moonlet.sync */
/* Semaphores, and the permit objects that `acquire` returns. */
#include "bindings/sync/semaphore.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "hub/on/sync_primitives.h"

const char ml_semaphore_type[] = "sync.semaphore";
static const char permit_type[] = "sync.permit";

struct permit {
    struct ml_semaphore *semaphore; /* kept alive by user value 1; NULL: given back */
};

/***
A number of permits, for as many tasks at a time. `#semaphore` is how many are left.
@object Semaphore
*/

/***
Makes a semaphore.
@function semaphore
@tparam[opt=1] integer permits that can be taken at once
@treturn Semaphore
*/
int ml_sync_semaphore(lua_State *L)
{
    lua_Integer permits = luaL_optinteger(L, 1, 1);
    luaL_argcheck(L, permits >= 0, 1, "permits cannot be negative");
    struct ml_semaphore *semaphore = ml_push_object(L, ml_semaphore_type, sizeof *semaphore, 0);
    ml_semaphore_init(semaphore, permits);
    return 1;
}

static __attribute__((noinline)) int wait_for_permit(lua_State *L, struct ml_semaphore *semaphore,
                                                     ml_time deadline)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    ml_blocking_begin_until(L, deadline);
    int error = ml_semaphore_wait(hub, semaphore, deadline);
    return ml_blocking_end_until(L, deadline, error);
}

/* Takes a permit of the semaphore at 1, with the timeout at 2. */
static inline int acquire(lua_State *L)
{
    struct ml_semaphore *semaphore = ml_check_object(L, 1, ml_semaphore_type);
    ml_time deadline = ml_check_deadline(L, 2);
    ml_blocking_enter(L, deadline);
    return ml_likely(ml_semaphore_try(semaphore)) ? 0 : wait_for_permit(L, semaphore, deadline);
}

/***
Waits for a permit and takes it. Waiting tasks get permits in the order in which they came.
@function Semaphore:acquire
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, "timeout", "ETIMEDOUT"; or nil, "closed", "CLOSED"
*/
static int semaphore_acquire(lua_State *L)
{
    return ml_push_outcome(L, acquire(L));
}

/***
As acquire(), with an object that gives the permit back at the end of a block: `local permit <close>
= semaphore:hold()`. Waits.
@function Semaphore:hold
@tparam[opt] number timeout seconds
@treturn Permit or nil, "timeout", "ETIMEDOUT"; or nil, "closed", "CLOSED"
*/
static int semaphore_hold(lua_State *L)
{
    ml_check_object(L, 1, ml_semaphore_type);
    lua_settop(L, 2);
    /* Made before the permit is taken: without memory for it nothing is taken. */
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

/* For closing, finalizing and releasing: gives the permit back once. */
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
Gives a permit back, or adds some. Never waits. If the sum is no integer, that is an error, and none
is added.
@function Semaphore:release
@tparam[opt=1] integer count
*/
static int semaphore_release(lua_State *L)
{
    struct ml_semaphore *semaphore = ml_check_object(L, 1, ml_semaphore_type);
    lua_Integer count = luaL_optinteger(L, 2, 1);
    luaL_argcheck(L, count >= 0, 2, "count cannot be negative");
    int error = ml_semaphore_add(&ml_lua_of(L)->hub, semaphore, count);
    luaL_argcheck(L, error == 0, 2, "more permits than an integer can count");
    return 0;
}

/***
Closes: from now on waiting for a permit gives nil, "closed", "CLOSED"; permits that are left can be
taken.
@function Semaphore:close
*/
static int semaphore_close(lua_State *L)
{
    ml_semaphore_close(&ml_lua_of(L)->hub, ml_check_object(L, 1, ml_semaphore_type));
    return 0;
}

/* #semaphore: the permits that can be taken now. */
static int semaphore_length(lua_State *L)
{
    struct ml_semaphore *semaphore = ml_check_object(L, 1, ml_semaphore_type);
    lua_pushinteger(L, semaphore->permits);
    return 1;
}

static int semaphore_tostring(lua_State *L)
{
    struct ml_semaphore *semaphore = ml_check_object(L, 1, ml_semaphore_type);
    lua_pushfstring(L, "sync.semaphore (%I free%s)", (LUAI_UACINT)semaphore->permits,
                    semaphore->is_closed ? ", closed" : "");
    return 1;
}

void ml_open_semaphore_type(lua_State *L)
{
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
    ml_open_object_type(L, ml_semaphore_type, semaphore, semaphore_meta);
    ml_open_object_type(L, permit_type, permit, permit_meta);
}
