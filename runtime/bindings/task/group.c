/*** @submodule moonlet.task */
/*
 * Groups: tasks that end together. A group made for a function shares its scope with it; one
 * without is closed by its maker.
 */
#include "bindings/task/group.h"

#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/core/report.h"
#include "bindings/core/story.h"
#include "bindings/core/task_result.h"
#include "bindings/core/time_limit.h"
#include "bindings/task/group_members.h"
#include "bindings/task/group_object.h"
#include "bindings/task/task_options.h"
#include "hub/on/sync_primitives.h"
#include "hub/state/scope.h"

#include <errno.h>
#include <string.h>

const struct ml_wait_kind ml_group_kind = {.text = "the tasks of a group"};

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
        group->on_error = ML_GROUP_CANCEL;
    else if (strcmp(name, "report") == 0)
        group->on_error = ML_GROUP_REPORT;
    else if (ml_is_callable(L, -1))
        group->on_error = ML_GROUP_CALL;
    else
        luaL_argerror(L, options, "option 'on_error' must be \"cancel\", \"report\" or a function");
    lua_setiuservalue(L, -2, ML_GROUP_ON_ERROR);
}

/* options: index of the table, 0: there is none. */
static struct ml_group *push_group(lua_State *L, int options)
{
    struct ml_group *group = ml_push_object(L, ml_group_type, sizeof *group, ML_GROUP_VALUES);
    ml_list_init(&group->members);
    ml_list_init(&group->joiners);
    if (options != 0) {
        read_limit(L, options, group);
        read_on_error(L, options, group);
    }
    return group;
}

/* ---- the end ---- */

static int wait_for_all(struct ml_hub *hub, struct ml_group *group, ml_time deadline)
{
    int error = 0;
    while (error == 0 && group->count > 0)
        error = ml_wait(hub, &ml_group_kind, 0, &group->joiners, deadline);
    return error;
}

/* Raises for a member, which would wait for its own end. */
static void refuse_member(lua_State *L, const struct ml_group *group, const char *what)
{
    struct ml_task *current = ml_lua_of(L)->hub.current;
    if (current == NULL || !ml_lua_task_of(current)->is_member)
        return;
    if (((const struct ml_member *)ml_lua_task_of(current))->group == group)
        luaL_error(L, "a task cannot %s the group that it belongs to", what);
}

/* Waits for all, also if the caller is cancelled meanwhile: then they are cancelled, too, and the
 * cancellation is raised afterwards. */
static void wait_to_the_end(lua_State *L, struct ml_group *group)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (group->count == 0)
        return;
    ml_blocking_begin(L);
    int error = wait_for_all(hub, group, ML_FOREVER);
    if (error == -ECANCELED) {
        ml_group_cancel_members(L, group, 0);
        struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
        error = shield != NULL ? wait_for_all(hub, group, ML_FOREVER) : -ENOMEM;
        if (shield != NULL)
            ml_scope_close(hub, shield);
    }
    ml_blocking_end(L, error);
}

static int raise_failure(lua_State *L)
{
    lua_getiuservalue(L, 1, ML_GROUP_FAILURE);
    ml_group_pass(L, 1, 1);
    return lua_error(L);
}

/* The group is left by another error: errors of its children are reported, as if no task had joined
 * them. */
static int tell_failures(lua_State *L)
{
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, ML_GROUP_FAILED);
    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TUSERDATA; i++) {
        ml_lua_task_push_value(L, 3);
        ml_report_ended(L);
    }
    return 0;
}

/***
Tasks that end together. `#group` is how many have not ended. The maker of a group without a body
closes it: that waits for all children and raises the first failure. If an error closes it, it
cancels them first.
@object Group
*/

/***
Cancels every child, and the body. Never waits.
@function Group:cancel
@param[opt] reason
*/
static int group_cancel(lua_State *L)
{
    struct ml_group *group = ml_check_group(L);
    lua_settop(L, 2);
    ml_group_cancel_all(L, group, lua_isnil(L, 2) ? 0 : 2);
    lua_setiuservalue(L, 1, ML_GROUP_REASON);
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
    struct ml_group *group = ml_check_group(L);
    ml_time deadline = ml_check_deadline(L, 2);
    struct ml_hub *hub = ml_blocking_enter(L, deadline);
    int error = 0;
    if (group->count > 0) {
        if (deadline != ML_NEVER_WAIT)
            refuse_member(L, group, "join");
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
    lua_getiuservalue(L, 1, ML_GROUP_FAILURE);
    ml_group_pass(L, 1, 1);
    lua_pushliteral(L, "EFAILED");
    return 3;
}

/* Waits for all. If the group is left by an error (at 2), or its body is dropped, cancels them
 * first. */
static int group_close(lua_State *L)
{
    struct ml_group *group = ml_check_group(L);
    bool is_left_by_error = !lua_isnoneornil(L, 2);
    if (group->has_ended)
        return 0;
    refuse_member(L, group, "close");
    if (is_left_by_error || group->runs_body)
        ml_group_cancel_members(L, group, 0);
    wait_to_the_end(L, group);
    group->has_ended = true;
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    bool is_untold = group->has_failed && !group->is_told;
    if (is_left_by_error && is_untold && ml_is_cancellation(L, 2))
        return raise_failure(L);
    if (is_left_by_error)
        return is_untold ? tell_failures(L) : 0;
    if (ml_cancel_point(hub) != 0)
        ml_cancellation_raise(L);
    return is_untold ? raise_failure(L) : 0;
}

static int group_length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)ml_check_group(L)->count);
    return 1;
}

static int group_tostring(lua_State *L)
{
    lua_pushfstring(L, "task.group (%d running)", (int)ml_check_group(L)->count);
    return 1;
}

/* ---- with a body ---- */

/* Stack: the group, fn. Calls fn(group) in a scope that g:cancel() and a failure cancel. Its
 * results, or its error, replace fn. *is_cut: that scope, and none outside, ended it. Returns the
 * status. */
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
    lua_pushcfunction(L, ml_story_handler);
    lua_insert(L, 2);
    lua_pushvalue(L, 1);
    int status = lua_pcall(L, 1, LUA_MULTRET, 2);
    lua_remove(L, 2);
    group->runs_body = false;
    group->scope = NULL;
    struct ml_scope_end end = ml_scope_close(hub, scope);
    bool is_cancellation = status != LUA_OK && ml_cancellation_is_raised(L, count);
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
        ml_group_cancel_members(L, group, 0);
    } else if (has_failed) {
        lua_pushvalue(L, -1);
        ml_group_fail(L, group, 1, 0);
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
    lua_getiuservalue(L, 1, ML_GROUP_REASON);
    lua_pushliteral(L, "ECANCELED");
    return 3;
}

/***
Runs fn(g), whose children (g:spawn) end before it returns; the first failure, of the body or a
child, cancels the rest and is raised unchanged. Without fn: makes a group that its maker closes
(`local g <close> = task.group()`) or joins, and whose failures do not cancel the maker. With fn,
waits. A child cannot close or join its own group.
@function group
@tparam[opt] table opts
@tparam[opt] integer opts.limit children at a time; spawn waits for a place
@tparam[opt="cancel"] string|function opts.on_error "cancel", "report" or function(task, err,
traceback, cleaning), where cleaning is true if the task had been cancelled and failed as it cleaned
up; it may return "cancel"
@tparam[opt] function(Group) fn
@return[1] fn's results; or nil, reason, "ECANCELED" if g:cancel(reason) cut it
@treturn[2] Group without fn
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
    static const luaL_Reg methods[] = {{"spawn", ml_group_spawn},
                                       {"cancel", group_cancel},
                                       {"join", group_join},
                                       {"errors", ml_group_errors},
                                       {"has", ml_group_has},
                                       {"room", ml_group_room},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__close", group_close},
                                           {"__len", group_length},
                                           {"__tostring", group_tostring},
                                           {NULL, NULL}};
    ml_open_object_type(L, ml_group_type, methods, metamethods);
    ml_lua_of(L)->task_hooks.member = &ml_group_member_hooks;
}
