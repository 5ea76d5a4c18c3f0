/*
 * Groups: tasks that end together. One made for a function shares its scope with it; one without is a bag that
 * its maker closes.
 */
#include "bindings/group.h"

#include "bindings/attribute.h"
#include "bindings/blocking.h"
#include "bindings/cancellation.h"
#include "bindings/report.h"
#include "bindings/task_options.h"
#include "bindings/task_view.h"
#include "hub/scope.h"
#include "hub/sync.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static const char group_type[] = "task.group";

/* User values. */
enum { FAILURE = 1, FAILURES = 2, ON_ERROR = 3, REASON = 4, VALUES = REASON };

enum on_error { CANCEL_THE_REST, REPORT, CALL };

struct ml_group {
    struct ml_link members;     /* that have not ended */
    struct ml_link joiners;     /* tasks that wait for all to end */
    struct ml_semaphore places; /* if has_limit */
    struct ml_scope *scope;     /* the body's, while it runs */
    uint64_t scope_serial;      /* the body may be dropped with the generator in which it stands */
    int64_t count;
    enum on_error on_error : 4;
    bool has_limit : 1;
    bool has_failed : 1; /* FAILURE is what is to be raised */
    bool is_told : 1;    /* it was, by join() */
    bool is_cancelled : 1;
    bool has_ended : 1; /* takes no more members */
    bool
        runs_body : 1; /* until that returns, or is dropped with the generator in which it stands */
};

static const struct ml_wait_kind join_kind = {.text = "the tasks of a group"};

/* ---- making ---- */

static void read_limit(lua_State *L, int options, struct ml_group *group)
{
    int is_integer;
    group->has_limit = lua_getfield(L, options, "limit") != LUA_TNIL;
    lua_Integer limit = lua_tointegerx(L, -1, &is_integer);
    luaL_argcheck(L, !group->has_limit || (is_integer && limit > 0), options,
                  "option 'limit' must be a positive integer");
    ml_semaphore_init(&group->places, limit);
    lua_pop(L, 1);
}

/* The group is on top of the stack. */
static void read_on_error(lua_State *L, int options, struct ml_group *group)
{
    bool is_absent = lua_getfield(L, options, "on_error") == LUA_TNIL;
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (is_absent || strcmp(name, "cancel") == 0)
        group->on_error = CANCEL_THE_REST;
    else if (strcmp(name, "report") == 0)
        group->on_error = REPORT;
    else if (ml_is_callable(L, -1))
        group->on_error = CALL;
    else
        luaL_argerror(L, options, "option 'on_error' must be \"cancel\", \"report\" or a function");
    lua_setiuservalue(L, -2, ON_ERROR);
}

/* options: index of the table, 0: there is none. */
static struct ml_group *push_group(lua_State *L, int options)
{
    struct ml_group *group = ml_push_object(L, group_type, sizeof *group, VALUES);
    ml_list_init(&group->members);
    ml_list_init(&group->joiners);
    if (options != 0) {
        read_limit(L, options, group);
        read_on_error(L, options, group);
    }
    return group;
}

static struct ml_group *check_group(lua_State *L)
{
    return ml_check_object(L, 1, group_type);
}

/* ---- cancelling and failing ---- */

/* reason: index of the value told to them; 0: none. */
static void cancel_members(lua_State *L, struct ml_group *group, int reason)
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

/* Stack: the group's object at `object`, an error on top, which is popped: the first is kept to be raised and
 * cancels the rest, later ones are only listed. */
static void fail(lua_State *L, struct ml_group *group, int object)
{
    if (!group->has_failed) {
        lua_setiuservalue(L, object, FAILURE);
        group->has_failed = group->is_cancelled = true;
        cancel_body(group);
        cancel_members(L, group, 0);
        return;
    }
    if (lua_getiuservalue(L, object, FAILURES) == LUA_TNIL) {
        lua_newtable(L);
        lua_copy(L, -1, -2);
        lua_setiuservalue(L, object, FAILURES);
    }
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* Stack: the Task, its error, the group. */
static int handle_failure(lua_State *L)
{
    struct ml_group *group = ml_to_object(L, 3);
    if (group->on_error == CALL) {
        lua_getiuservalue(L, 3, ON_ERROR);
        lua_replace(L, 3);
        lua_insert(L, 1);
        ml_attribute_get(L, ML_ATTRIBUTE_TRACEBACK, 2);
        lua_call(L, 3, 0);
    } else if (group->on_error == CANCEL_THE_REST) {
        lua_pushvalue(L, 2);
        fail(L, group, 3);
    }
    return 0;
}

/* ---- members ---- */

bool ml_group_wants_traceback(const struct ml_member *member)
{
    return member->group->on_error == CALL;
}

void ml_group_add(struct ml_group *group, struct ml_member *member)
{
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
    bool was_reporting = lua->is_reporting;
    lua->is_reporting = true;
    lua_pushcfunction(aside, handle_failure);
    ml_lua_push_task(aside, &member->task);
    ml_lua_task_push_value(aside, top + 2);
    ml_lua_task_push_group(aside, top + 2);
    if (lua_pcall(aside, 3, 0, 0) != LUA_OK)
        ml_report_callback_failure(lua, "the on_error function of a group failed");
    lua_settop(aside, top);
    lua->is_reporting = was_reporting;
}

void ml_group_remove(struct ml_lua *lua, struct ml_member *member)
{
    struct ml_group *group = member->group;
    ml_list_remove(&member->link);
    group->count--;
    if (group->has_limit)
        ml_semaphore_release(&lua->hub, &group->places);
    if (member->task.outcome == ML_OUTCOME_FAILED)
        tell_failure(lua, member);
    if (group->count == 0)
        ml_wake_all(&lua->hub, &group->joiners);
}

/* Stack: the group, a name or nil, the function, its arguments, the options as light userdata. */
static int spawn_protected(lua_State *L)
{
    const struct ml_lua_spawn *options = lua_touserdata(L, -1);
    lua_pop(L, 1);
    int error = ml_lua_spawn(L, options, lua_gettop(L) - 2);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/* Spawns one that has a place: an error gives that back. */
static int spawn_in_place(lua_State *L, struct ml_group *group, struct ml_lua_spawn *options)
{
    lua_pushcfunction(L, spawn_protected);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, options);
    lua_pushvalue(L, 2); /* the group stays, whatever happens */
    lua_insert(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    bool is_spawned = status == LUA_OK && lua_gettop(L) == 2;
    if (!is_spawned)
        ml_semaphore_release(&ml_lua_of(L)->hub, &group->places);
    return status == LUA_OK ? lua_gettop(L) - 1 : lua_error(L);
}

static void take_place(lua_State *L, struct ml_group *group)
{
    struct ml_hub *hub = ml_blocking_enter(L, ML_FOREVER);
    if (ml_likely(ml_semaphore_try(&group->places)))
        return;
    ml_blocking_begin(L);
    ml_blocking_end(L, ml_semaphore_wait(hub, &group->places, ML_FOREVER));
}

/***
Waits until there is a place for a child, and leaves it free: for whoever wants one before he takes on work. At
once without a limit.
@function Group:room
*/
static int group_room(lua_State *L)
{
    struct ml_group *group = check_group(L);
    if (group->has_limit) {
        take_place(L, group);
        ml_semaphore_release(&ml_lua_of(L)->hub, &group->places);
    }
    return 0;
}

/***
Starts a child: the group does not end before it. With a limit, waits for a place.
@function Group:spawn
@tparam[opt] table opts as for task.spawn
@tparam function fn
@param ... its arguments
@treturn Task or nil, message, code as task.spawn
*/
static int group_spawn(lua_State *L)
{
    struct ml_group *group = check_group(L);
    struct ml_lua_spawn options = ml_check_spawn(L, 2);
    options.group = group;
    options.group_index = 1;
    options.is_quiet = options.is_quiet || group->on_error != REPORT;
    if (group->has_limit)
        take_place(L, group);
    if (group->has_ended)
        return luaL_error(L, "cannot spawn: the group has ended");
    if (group->has_limit)
        return spawn_in_place(L, group, &options);
    int error = ml_lua_spawn(L, &options, lua_gettop(L) - 2);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/* ---- the end ---- */

static int wait_for_all(struct ml_hub *hub, struct ml_group *group, ml_time deadline)
{
    int error = 0;
    while (error == 0 && group->count > 0)
        error = ml_wait(hub, &join_kind, 0, &group->joiners, deadline);
    return error;
}

/* Waits for all, whatever cancels the caller meanwhile: that cancels them, too, and is in force
 * afterwards. */
static void wait_to_the_end(lua_State *L, struct ml_group *group)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (group->count == 0)
        return;
    ml_blocking_begin(L);
    int error = wait_for_all(hub, group, ML_FOREVER);
    if (error == -ECANCELED) {
        cancel_members(L, group, 0);
        struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
        error = shield != NULL ? wait_for_all(hub, group, ML_FOREVER) : -ENOMEM;
        if (shield != NULL)
            ml_scope_close(hub, shield);
    }
    ml_blocking_end(L, error);
}

static int raise_failure(lua_State *L)
{
    lua_getiuservalue(L, 1, FAILURE);
    return lua_error(L);
}

/***
Cancels every child, and the body. Never waits.
@function Group:cancel
@param[opt] reason
*/
static int group_cancel(lua_State *L)
{
    struct ml_group *group = check_group(L);
    lua_settop(L, 2);
    group->is_cancelled = true;
    cancel_body(group);
    cancel_members(L, group, lua_isnil(L, 2) ? 0 : 2);
    lua_setiuservalue(L, 1, REASON);
    return 0;
}

/***
Waits until all children have ended.
@function Group:join
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, the first failure, "EFAILED"; or nil, "timeout", "ETIMEDOUT"
*/
static int group_join(lua_State *L)
{
    struct ml_group *group = check_group(L);
    ml_time deadline = ml_check_deadline(L, 2);
    struct ml_hub *hub = ml_blocking_enter(L, deadline);
    int error = 0;
    if (group->count > 0) {
        ml_blocking_begin(L);
        error = ml_blocking_end(L, wait_for_all(hub, group, deadline));
    }
    if (error != 0)
        return ml_push_failure(L, error);
    if (!group->has_failed) {
        lua_pushboolean(L, 1);
        return 1;
    }
    group->is_told = true;
    luaL_pushfail(L);
    lua_getiuservalue(L, 1, FAILURE);
    lua_pushliteral(L, "EFAILED");
    return 3;
}

/***
The failures after the first.
@function Group:errors
@treturn {any,...}
*/
static int group_errors(lua_State *L)
{
    check_group(L);
    if (lua_getiuservalue(L, 1, FAILURES) == LUA_TNIL)
        lua_newtable(L);
    return 1;
}

/* Waits for all; left by an error (at 2), or with a body that is dropped, cancels them first. */
static int group_close(lua_State *L)
{
    struct ml_group *group = check_group(L);
    bool is_left_by_error = !lua_isnoneornil(L, 2);
    if (group->has_ended)
        return 0;
    if (is_left_by_error || group->runs_body)
        cancel_members(L, group, 0);
    wait_to_the_end(L, group);
    group->has_ended = true;
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (is_left_by_error)
        return 0;
    if (ml_cancel_point(hub) != 0)
        ml_cancellation_raise(L);
    return group->has_failed && !group->is_told ? raise_failure(L) : 0;
}

/***
@function Group:has
@tparam Task t
@treturn boolean whether it is a child that has not ended
*/
static int group_has(lua_State *L)
{
    const struct ml_group *group = check_group(L);
    const struct ml_lua_task *task = ml_check_task(L, 2);
    bool is_member = task->is_member && task->task.state != ML_TASK_ENDED;
    lua_pushboolean(L, is_member && ((const struct ml_member *)task)->group == group);
    return 1;
}

static int group_length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_group(L)->count);
    return 1;
}

static int group_tostring(lua_State *L)
{
    lua_pushfstring(L, "task.group (%d running)", (int)check_group(L)->count);
    return 1;
}

/* ---- with a body ---- */

/* Stack: the group, fn. Calls fn(group) in a scope that g:cancel() and a failure cancel. Its results, or its
 * error, replace fn; *is_cut: that scope, and none outside, ended it. Returns how it ended. */
static int call_body(lua_State *L, struct ml_group *group, bool *is_cut)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    intptr_t count = ml_cancellation_count(L);
    struct ml_scope *scope = ml_scope_open(hub, ML_SCOPE_PLAIN, ML_FOREVER);
    if (scope == NULL)
        return luaL_error(L, "not enough memory");
    group->scope = scope;
    group->scope_serial = scope->serial;
    group->runs_body = true;
    lua_pushvalue(L, 1);
    int status = lua_pcall(L, 1, LUA_MULTRET, 0);
    group->runs_body = false;
    group->scope = NULL;
    struct ml_scope_end end = ml_scope_close(hub, scope);
    bool is_cancellation = status != LUA_OK && ml_cancellation_count(L) != count;
    *is_cut = is_cancellation && end.cancelled && ml_cancel_point(hub) == 0;
    return status;
}

/* Stack: the group, fn. */
static int run_body(lua_State *L, struct ml_group *group)
{
    bool is_cut = false;
    int status = call_body(L, group, &is_cut);
    bool has_failed = status != LUA_OK && !is_cut;
    if (has_failed && ml_is_cancellation(L, -1)) {
        cancel_members(L, group, 0);
    } else if (has_failed) {
        lua_pushvalue(L, -1);
        fail(L, group, 1);
    }
    wait_to_the_end(L, group);
    group->has_ended = true;
    if (group->has_failed)
        return raise_failure(L);
    if (ml_cancel_point(&ml_lua_of(L)->hub) != 0)
        ml_cancellation_raise(L);
    if (has_failed)
        return lua_error(L);
    if (!is_cut)
        return lua_gettop(L) - 1;
    luaL_pushfail(L);
    lua_getiuservalue(L, 1, REASON);
    lua_pushliteral(L, "ECANCELED");
    return 3;
}

/***
Runs fn(g), whose children (g:spawn) end before it returns; the first failure, of the body or a child, cancels
the rest and is raised unchanged. Without fn: makes a group that its maker closes
(`local g <close> = task.group()`) or joins, and that never interrupts him.
@function group
@tparam[opt] table opts limit (children at a time), on_error ("cancel", "report" or function(task, err, traceback))
@tparam[opt] function fn
@return fn's results; or nil, reason, "ECANCELED" if g:cancel(reason) cut it
*/
int ml_task_group(lua_State *L)
{
    static const char *const names[] = {"limit", "on_error", NULL};
    int options = lua_istable(L, 1) && !ml_is_callable(L, 1) ? 1 : 0;
    int fn = options + 1;
    lua_settop(L, fn);
    if (!lua_isnil(L, fn))
        ml_check_callable(L, fn);
    ml_check_option_names(L, options, names);
    struct ml_group *group = push_group(L, options);
    if (lua_isnil(L, fn))
        return 1;
    lua_insert(L, fn);
    if (options != 0)
        lua_remove(L, options);
    ml_blocking_enter(L, ML_FOREVER);
    lua_toclose(L, 1);
    return run_body(L, group);
}

void ml_open_group_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"spawn", group_spawn},
                                       {"cancel", group_cancel},
                                       {"join", group_join},
                                       {"errors", group_errors},
                                       {"has", group_has},
                                       {"room", group_room},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__close", group_close},
                                           {"__len", group_length},
                                           {"__tostring", group_tostring},
                                           {NULL, NULL}};
    ml_open_object_type(L, group_type, methods, metamethods);
}
