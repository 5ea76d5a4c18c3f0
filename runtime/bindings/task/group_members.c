/*** @submodule moonlet.task */
/*
 * The life of a member. spawn() begins it, perhaps after a wait for a place. When it has ended, its
 * place is free again and its failure is handled as the group wishes.
 */
#include "bindings/task/group_members.h"

#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/object.h"
#include "bindings/core/report.h"
#include "bindings/core/story.h"
#include "bindings/core/task_attribute.h"
#include "bindings/core/task_result.h"
#include "bindings/core/task_view.h"
#include "bindings/task/group_object.h"
#include "bindings/task/task_options.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"

#include <string.h>

/* ---- cancelling and failing ---- */

void ml_group_cancel_members(lua_State *L, struct ml_group *group, int reason)
{
    for (struct ml_link *link = group->members.next; link != &group->members; link = link->next) {
        struct ml_member *member = ml_container_of(link, struct ml_member, link);
        if (reason != 0) {
            ml_lua_push_task(L, &member->task);
            ml_cancellation_set_reason(L, -1, reason);
            lua_pop(L, 1);
        }
        ml_task_cancel(&member->task.task);
    }
}

static void cancel_body(struct ml_group *group)
{
    if (group->scope != NULL)
        ml_scope_cancel_if_open(group->scope, group->scope_serial);
}

void ml_group_cancel_all(lua_State *L, struct ml_group *group, int reason)
{
    group->is_cancelled = true;
    cancel_body(group);
    ml_group_cancel_members(L, group, reason);
}

/* Stack: an error on top, which stays. */
static void list_failed(lua_State *L, int object, int failed)
{
    if (lua_getiuservalue(L, object, ML_GROUP_FAILED) == LUA_TNIL) {
        lua_newtable(L);
        lua_copy(L, -1, -2);
        lua_setiuservalue(L, object, ML_GROUP_FAILED);
    }
    if (failed != 0)
        lua_pushvalue(L, failed);
    else
        lua_pushboolean(L, 0);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

void ml_group_pass(lua_State *L, int object, lua_Integer number)
{
    int error = lua_gettop(L);
    lua_getiuservalue(L, object, ML_GROUP_FAILED);
    if (lua_rawgeti(L, -1, number) == LUA_TUSERDATA) {
        lua_pushvalue(L, error);
        ml_story_pass(L, error + 2);
    }
    lua_settop(L, error);
}

void ml_group_fail(lua_State *L, struct ml_group *group, int object, int failed)
{
    list_failed(L, object, failed);
    if (!group->has_failed) {
        lua_setiuservalue(L, object, ML_GROUP_FAILURE);
        group->has_failed = true;
        ml_group_cancel_all(L, group, 0);
        return;
    }
    if (lua_getiuservalue(L, object, ML_GROUP_FAILURES) == LUA_TNIL) {
        lua_newtable(L);
        lua_copy(L, -1, -2);
        lua_setiuservalue(L, object, ML_GROUP_FAILURES);
    }
    lua_insert(L, -2);
    if (lua_isnil(L, -1)) { /* an error like any other: it needs an entry in the list */
        lua_pushliteral(L, "(error object is a nil value)");
        lua_replace(L, -2);
    }
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* Stack: the Task, its error, the group. Calls the group's function; whether that asks for the
 * effect of "cancel". */
static bool call_on_error(lua_State *L)
{
    const struct ml_lua_task *task = lua_touserdata(L, 1);
    lua_getiuservalue(L, 3, ML_GROUP_ON_ERROR);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    ml_attribute_get(L, ML_ATTRIBUTE_TRACEBACK, 1);
    lua_pushboolean(L, task->task.was_cancelled && task->task.told != 0);
    lua_call(L, 4, 1);
    return lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "cancel") == 0;
}

/* Stack: as before. */
static int handle_failure(lua_State *L)
{
    struct ml_group *group = ml_to_object(L, 3);
    bool cancels =
        group->on_error == ML_GROUP_CALL ? call_on_error(L) : group->on_error == ML_GROUP_CANCEL;
    if (cancels) {
        lua_pushvalue(L, 2);
        ml_group_fail(L, group, 3, 1);
    }
    return 0;
}

/* ---- members ---- */

static void add_member(struct ml_group *group, struct ml_lua_task *task)
{
    struct ml_member *member = (struct ml_member *)task;
    member->group = group;
    ml_list_insert(&group->members, &member->link);
    group->count++;
    if (group->is_cancelled)
        ml_task_cancel(&member->task.task);
}

static __attribute__((noinline)) void tell_failure(struct ml_lua *lua, struct ml_member *member)
{
    lua_State *aside = lua->aside;
    int top = lua_gettop(aside);
    ml_lua_push_task(aside, &member->task);
    lua_pushcfunction(aside, handle_failure);
    lua_pushvalue(aside, top + 1);
    ml_lua_task_push_value(aside, top + 1);
    ml_lua_task_push_group(aside, top + 1);
    if (!ml_report_call(lua, "the on_error function of a group, called for", top + 1, 3)) {
        ml_lua_task_push_value(aside, top + 1);
        ml_report_ended(aside);
    }
    lua_settop(aside, top);
}

static void remove_member(struct ml_lua *lua, struct ml_lua_task *task)
{
    struct ml_member *member = (struct ml_member *)task;
    struct ml_group *group = member->group;
    if (!ml_link_is_in_list(&member->link))
        return; /* it was handled before, and the call for it was abandoned */
    ml_list_remove(&member->link);
    group->count--;
    if (group->has_limit)
        ml_semaphore_release(&lua->hub, &group->places);
    if (member->task.outcome == ML_OUTCOME_FAILED)
        tell_failure(lua, member);
    if (group->count == 0)
        ml_wake_all(&lua->hub, &group->joiners);
}

const struct ml_member_hooks ml_group_member_hooks = {
    .size = sizeof(struct ml_member), .begin = add_member, .end = remove_member};

/* Stack: the group, a name or nil, the function, its arguments, the options as light userdata. */
static int spawn_protected(lua_State *L)
{
    const struct ml_lua_spawn *options = lua_touserdata(L, -1);
    lua_pop(L, 1);
    int error = ml_lua_spawn(L, options, lua_gettop(L) - 2);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/* Spawns a member that has a place, which is given back after an error. */
static int spawn_in_place(lua_State *L, struct ml_group *group, struct ml_lua_spawn *options)
{
    lua_pushcfunction(L, spawn_protected);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, options);
    lua_pushvalue(L, 2); /* keeps the group on the stack */
    lua_insert(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    bool is_spawned = status == LUA_OK && lua_gettop(L) == 2;
    if (!is_spawned)
        ml_semaphore_release(&ml_lua_of(L)->hub, &group->places);
    return status == LUA_OK ? lua_gettop(L) - 1 : lua_error(L);
}

/* Waits for a place and takes it. */
static void take_place(lua_State *L, struct ml_group *group)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (ml_likely(ml_semaphore_try(&group->places)))
        return;
    ml_blocking_begin(L);
    ml_blocking_end(L, ml_semaphore_wait(hub, &group->places, ML_FOREVER));
}

/* The same for a child, which a group that has ended refuses; the group may end while the caller
 * waits. */
static void take_place_for_child(lua_State *L, struct ml_group *group)
{
    bool takes_place = group->has_limit && !group->has_ended;
    if (takes_place)
        take_place(L, group);
    if (!group->has_ended)
        return;
    if (takes_place)
        ml_semaphore_release(&ml_lua_of(L)->hub, &group->places);
    luaL_error(L, "cannot spawn: the group has ended");
}

/***
Waits until there is a place for a child, and leaves it free: for a task that wants one before it
accepts work. Returns at once without a limit; a cancellation point in either case.
@function Group:room
*/
int ml_group_room(lua_State *L)
{
    struct ml_group *group = ml_check_group(L);
    ml_blocking_enter(L, ML_FOREVER);
    if (group->has_limit) {
        take_place(L, group);
        ml_semaphore_release(&ml_lua_of(L)->hub, &group->places);
    }
    return 0;
}

/***
Starts a child: the group does not end before it. With a limit, waits for a place, and is a
cancellation point.
@function Group:spawn
@tparam[opt] table opts as for task.spawn
@tparam function fn
@param ... its arguments
@treturn Task or nil, message, code as task.spawn
*/
int ml_group_spawn(lua_State *L)
{
    struct ml_group *group = ml_check_group(L);
    struct ml_lua_spawn options = ml_check_spawn(L, 2);
    options.group = group;
    options.group_index = 1;
    options.is_quiet = options.is_quiet || group->on_error != ML_GROUP_REPORT;
    if (group->has_limit)
        ml_blocking_enter(L, ML_FOREVER);
    take_place_for_child(L, group);
    if (group->has_limit)
        return spawn_in_place(L, group, &options);
    int error = ml_lua_spawn(L, &options, lua_gettop(L) - 2);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/* ---- questions about members ---- */

/***
Returns the failures after the first.
@function Group:errors
@treturn {any,...}
*/
int ml_group_errors(lua_State *L)
{
    ml_check_group(L);
    lua_settop(L, 1);
    if (lua_getiuservalue(L, 1, ML_GROUP_FAILURES) == LUA_TNIL) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
        ml_group_pass(L, 1, i + 1);
        lua_settop(L, 2);
    }
    lua_settop(L, 2);
    return 1;
}

/***
Returns whether a task belongs to the group.
@function Group:has
@tparam Task t
@treturn boolean whether it is a child that has not ended
*/
int ml_group_has(lua_State *L)
{
    const struct ml_group *group = ml_check_group(L);
    const struct ml_lua_task *task = ml_check_task(L, 2);
    bool is_member = task->is_member && task->task.state != ML_TASK_ENDED;
    lua_pushboolean(L, is_member && ((const struct ml_member *)task)->group == group);
    return 1;
}
