/*** @submodule moonlet.inspect */
/* Tasks as data, for scripts: inspect.tasks(). */
#include "bindings/inspect/tasks.h"

#include "bindings/core/option.h"
#include "bindings/core/task_view.h"
#include "bindings/inspect/accounts.h"
#include "bindings/inspect/frames.h"
#include "bindings/inspect/task_entry.h"
#include "bindings/inspect/task_groups.h"
#include "bindings/inspect/task_walk.h"
#include "bindings/inspect/wait_graph.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

/* The most tasks, or groups, that a call describes unless it is asked for more. */
enum { DEFAULT_LIMIT = 1000 };

/* The stack of tasks(). */
enum { OPTIONS = 1, FIND = 2, LIST = 3 };

/* What the caller wants. */
struct request {
    const char *state; /* NULL: any */
    bool has_filter;   /* in the options */
    bool is_grouped;
    bool has_stack;
    lua_Integer id; /* 0: any */
    int limit;
    ml_time slice;
};

/* ---- options ---- */

static const char *check_state(lua_State *L)
{
    static const char *const names[] = {"new", "ready", "running", "waiting", NULL};
    if (lua_getfield(L, OPTIONS, "state") == LUA_TNIL)
        return NULL;
    const char *state = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    int i = 0;
    while (names[i] != NULL && strcmp(names[i], state) != 0)
        i++;
    if (names[i] == NULL)
        luaL_argerror(L, OPTIONS,
                      "option 'state' must be \"new\", \"ready\", \"running\" or \"waiting\"");
    return names[i];
}

static lua_Integer check_count(lua_State *L, const char *name, lua_Integer otherwise)
{
    int is_integer = 1;
    lua_Integer value = otherwise;
    if (lua_getfield(L, OPTIONS, name) != LUA_TNIL)
        value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || value < 0)
        luaL_argerror(L, OPTIONS,
                      lua_pushfstring(L, "option '%s' must be an integer, 0 or more", name));
    return value;
}

/* Pushes string.find(), the upvalue, and has it look at the pattern once: a wrong one is the
 * caller's error, before anything is walked over. */
static bool check_filter(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    bool has_filter = lua_getfield(L, OPTIONS, "filter") != LUA_TNIL;
    luaL_argcheck(L, !has_filter || lua_type(L, -1) == LUA_TSTRING, OPTIONS,
                  "option 'filter' must be a pattern for names");
    if (has_filter) {
        lua_pushvalue(L, FIND);
        lua_pushliteral(L, "");
        lua_getfield(L, OPTIONS, "filter");
        lua_call(L, 2, 0);
    }
    lua_settop(L, FIND);
    return has_filter;
}

/* The options that all functions have: limit and, for tests, slice. */
static struct request check_common(lua_State *L, const char *const names[])
{
    struct request request = {.has_stack = true, .slice = ML_WALK_SLICE};
    lua_settop(L, OPTIONS);
    if (lua_isnil(L, OPTIONS)) {
        lua_newtable(L);
        lua_replace(L, OPTIONS);
    }
    luaL_checktype(L, OPTIONS, LUA_TTABLE);
    ml_check_option_names(L, OPTIONS, names);
    lua_Integer limit = check_count(L, "limit", DEFAULT_LIMIT);
    request.limit = limit < INT32_MAX ? (int)limit : INT32_MAX;
    if (lua_getfield(L, OPTIONS, "slice") != LUA_TNIL)
        request.slice = ml_time_from_seconds(lua_tonumber(L, -1));
    lua_settop(L, OPTIONS);
    return request;
}

/* Key in the registry of whether the script wants accounts to be kept. */
static const char wants_key;

/* The option `account`: from now on accounts are kept for the script, or not any more. */
static void heed_account(lua_State *L)
{
    bool is_given = lua_getfield(L, OPTIONS, "account") != LUA_TNIL;
    bool wants = lua_toboolean(L, -1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &wants_key);
    bool wanted = lua_toboolean(L, -1);
    lua_settop(L, OPTIONS);
    if (!is_given || wants == wanted)
        return;
    lua_pushboolean(L, wants);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &wants_key);
    if (!wants)
        ml_accounts_close(ml_lua_of(L));
    else if (ml_accounts_open(ml_lua_of(L)) != 0)
        luaL_error(L, "not enough memory");
}

/* For other parts of moonlet.inspect: account(true) has accounts kept, until account(false). */
static int inspect_account(lua_State *L)
{
    if (!lua_toboolean(L, 1))
        ml_accounts_close(ml_lua_of(L));
    else if (ml_accounts_open(ml_lua_of(L)) != 0)
        return luaL_error(L, "not enough memory");
    return 0;
}

static struct request check_request(lua_State *L)
{
    static const char *const names[] = {"state", "filter", "group",   "stack", "id",
                                        "limit", "slice",  "account", NULL};
    struct request request = check_common(L, names);
    heed_account(L);
    request.has_filter = check_filter(L);
    request.state = check_state(L);
    request.is_grouped = ml_boolean_option(L, OPTIONS, "group", false);
    request.has_stack = ml_boolean_option(L, OPTIONS, "stack", true);
    request.id = check_count(L, "id", 0);
    lua_settop(L, FIND);
    return request;
}

/* ---- the tasks ---- */

/* Whether the name of the task, "" without one, has a match for the pattern. */
static bool has_match(lua_State *L, struct ml_lua_task *task)
{
    int top = lua_gettop(L);
    lua_pushvalue(L, FIND);
    ml_lua_push_task(L, task);
    if (ml_lua_push_task_name(L, -1) == NULL)
        lua_pushliteral(L, "");
    lua_replace(L, top + 2);
    lua_settop(L, top + 2);
    lua_getfield(L, OPTIONS, "filter");
    lua_call(L, 2, 1);
    bool result = lua_toboolean(L, -1);
    lua_settop(L, top);
    return result;
}

static bool is_wanted(lua_State *L, const struct request *request, struct ml_lua_task *task)
{
    bool has_state =
        request->state == NULL || strcmp(request->state, ml_task_state_name(&task->task)) == 0;
    bool has_id = request->id == 0 || request->id == (lua_Integer)task->task.id;
    return has_state && has_id && (!request->has_filter || has_match(L, task));
}

static int push_list(lua_State *L, const struct request *request, struct ml_dump_place place)
{
    struct ml_task_walk walk = ml_task_walk(L, request->slice);
    struct ml_lua_task *task;
    lua_Integer count = 0;
    lua_newtable(L);
    if (request->has_stack)
        ml_frames_push_names(L);
    while ((task = ml_task_walk_next(&walk)) != NULL) {
        if (!is_wanted(L, request, task) || ++count > request->limit)
            continue;
        ml_task_entry_push(L, task, place, request->has_stack ? LIST + 1 : 0);
        lua_rawseti(L, LIST, count);
    }
    lua_settop(L, LIST);
    lua_pushinteger(L, count);
    return 2;
}

static int push_groups(lua_State *L, const struct request *request, struct ml_dump_place place)
{
    struct ml_task_walk walk = ml_task_walk(L, request->slice);
    struct ml_task_groups groups = ml_task_groups_push(L, request->limit, false);
    struct ml_lua_task *task;
    lua_Integer count = 0;
    while ((task = ml_task_walk_next(&walk)) != NULL) {
        if (!is_wanted(L, request, task))
            continue;
        ml_task_groups_add(L, &groups, task, place);
        count++;
    }
    lua_settop(L, LIST);
    lua_pushinteger(L, count);
    return 2;
}

/***
Describes the tasks. A call that may wait lets others run meanwhile, so a task is shown as it was
when its turn came: each entry has the number of its switches. Works where no wait is allowed, too,
and raises no cancellation.
@function tasks
@tparam[opt] table opts
@tparam[opt] string opts.filter a pattern that the name has a match for
@tparam[opt] string opts.state only those in this state
@tparam[opt] integer opts.id only this task
@tparam[opt=false] boolean opts.group groups of tasks with equal stacks instead: {count=, state=,
waits_for=, spawned=, stack=, tasks= the first 20 of them}
@tparam[opt=true] boolean opts.stack with the calls
@tparam[opt=1000] integer opts.limit the most tasks, or groups, that are described
@tparam[opt] boolean opts.account true: from now on each task's account is kept, a switch takes 15
ns longer, and entries have cpu, allocated, stack_high, parent, paused; false: not any more
@treturn {table,...} in the order of their slots. Fields: id, name (nil without), state ("new",
"ready", "running", "waiting"), age (seconds, since the hub looked at the clock before the spawn),
switches, spawned ("file.lua:12"), waits_for (text), on (what it waits for: {task=, name=} that has
to act, {descriptor=, peer=}, {process=}), deadline (seconds left), cancelled, daemon, c_stack
(bytes of its C frames), cpu (seconds that its code ran since accounts are kept), allocated (bytes,
in all), stack_high (most bytes of C frames of its running coroutine at a switch), parent (id of its
spawner), paused (seconds since it ran), locals (plain values of task.locals()), stack: a list of
{name=, source=, line=, defined= the first line of the function, what="Lua", "main" or "C",
strand=}, the innermost call first; strand counts the coroutines from there. Of a deep stack it has
30 calls, {omitted=count} and 5.
@treturn integer how many tasks there are of this kind, with those beyond the limit
*/
static int inspect_tasks(lua_State *L)
{
    struct ml_dump_place place = {.running = L, .level = 1};
    struct request request = check_request(L);
    return request.is_grouped ? push_groups(L, &request, place) : push_list(L, &request, place);
}

/***
Tells which task waits for which: to lock a mutex for its holder, to join a task for that one, for
the end of a group for its members, for a module for the task that loads it, and for a lock of a C
library. Waits for channels and the like are nobody's to end. Lets others run meanwhile, as tasks().
@function waits
@tparam[opt] table opts
@tparam[opt=1000] integer opts.limit the most edges
@treturn table {edges=, count=, deadlocks=, deadlock_count=}: a list of {from=, from_name=, to=,
to_name=, waits_for=, deadline=}, how many there are, and a list of cycles, {tasks=, deadline=}:
entries as of tasks(), of which each waits for the next and the last for the first; deadline:
seconds until a time limit ends one of the waits, nil if none does. A cycle is listed only if no
member has moved at a second look. Those listed have 10,000 members at most; deadlock_count counts
the others, too.
*/
static int inspect_waits(lua_State *L)
{
    static const char *const names[] = {"limit", "slice", NULL};
    struct request request = check_common(L, names);
    lua_newtable(L);
    int result = lua_gettop(L);
    struct ml_wait_counts counts = ml_wait_graph_push(L, request.limit, request.slice);
    lua_setfield(L, result, "deadlocks");
    lua_setfield(L, result, "edges");
    lua_pushinteger(L, counts.edges);
    lua_setfield(L, result, "count");
    lua_pushinteger(L, counts.deadlocks);
    lua_setfield(L, result, "deadlock_count");
    return 1;
}

int ml_open_inspect_tasks(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"waits", inspect_waits}, {"account", inspect_account}, {NULL, NULL}};
    luaL_newlib(L, functions);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, LUA_STRLIBNAME);
    lua_getfield(L, -1, "find");
    lua_pushcclosure(L, inspect_tasks, 1);
    lua_setfield(L, -4, "tasks");
    lua_pop(L, 2);
    return 1;
}
