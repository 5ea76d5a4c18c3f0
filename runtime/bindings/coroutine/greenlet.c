/***
Greenlets: coroutines that switch to each other by name, as in Python's greenlet, case by case.

A greenlet belongs to one task, which is its root.

A suspended greenlet without references dies by GreenletExit, as in Python: in its own task, as a
child of the greenlet that runs there, which goes on when it is dead; an error is a warning
(`warn`). Python notices at once that the last reference is gone. Here the collector has to find
out, and a switch cannot leave a finalizer: so it dies in the next call of `collectgarbage`, of this
module, of `task.sleep` or `task.yield` that its task makes outside of finalizers. If the task ends
before, it dies in a task of its own, named "greenlet exit", whose root is its parent then; Python
never runs it again. If its task was dropped at the end of the program, so is the greenlet.

@module moonlet.greenlet
*/
#include "bindings/coroutine/greenlet.h"

#include "bindings/core/blocking.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/object.h"
#include "bindings/coroutine/greenlet_drop.h"
#include "bindings/coroutine/greenlet_object.h"
#include "bindings/coroutine/greenlet_switch.h"
#include "bindings/task/task_options.h"

#include <string.h>

/* ---- making ---- */

/* The parent at `index`, or the running greenlet; its object takes that place. */
static struct ml_greenlet *check_parent(lua_State *L, int index, struct ml_lua_task *task)
{
    if (lua_isnoneornil(L, index)) {
        lua_settop(L, index - 1);
        ml_greenlet_push_current(L, task);
    }
    struct ml_greenlet *parent = ml_test_object(L, index, ml_greenlet_type);
    luaL_argexpected(L, parent != NULL, index, "greenlet");
    luaL_argcheck(L, parent->task == task->task.id, index, "parent is a greenlet of another task");
    return parent;
}

/***
Raised in a greenlet by throw() without an error: ends it silently, and its parent goes on with it
as the result.
@table GreenletExit
*/

/***
A greenlet.
@object Greenlet
@tfield Greenlet parent goes on when it dies; can be set, to a greenlet of the same task, without a
cycle
@tfield boolean dead it has ended
@tfield boolean started it has begun
*/

/***
Makes a greenlet that will call fn; it begins with the first switch to it.
@function new
@tparam function fn
@tparam[opt] Greenlet parent goes on when it dies; the caller without
@treturn Greenlet
*/
static int greenlet_new(lua_State *L)
{
    ml_check_callable(L, 1);
    ml_blocking_attend(L);
    struct ml_lua_task *task = ml_greenlet_task(L);
    struct ml_greenlet *parent = check_parent(L, 2, task);
    lua_settop(L, 2);
    struct ml_greenlet *greenlet = ml_greenlet_push_new(L, task);
    ml_greenlet_set_parent(L, 3, 2, parent);
    lua_State *thread = lua_newthread(L);
    lua_setiuservalue(L, 3, ML_GREENLET_THREAD);
    *ml_lua_mark(thread) |= ML_MARK_GREENLET;
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    greenlet->L = thread;
    ml_lua_of(L)->greenlets.are_used = true;
    greenlet->branch.bottom = greenlet->branch.top = ml_strand_of(thread);
    return 1;
}

/***
Returns the running greenlet.
@function current
@treturn Greenlet the task's root outside of all others
*/
static int greenlet_current(lua_State *L)
{
    ml_blocking_attend(L);
    ml_greenlet_push_current(L, ml_greenlet_task(L));
    return 1;
}

/***
Sets a trace function: from now on each switch calls fn(event, from, to), in the greenlet that was
switched to; event is "switch" or "throw". If it raises an error, it is removed, and the error goes
on there.
@function settrace
@tparam ?function fn nil: none
@return the previous one, or nil
*/
static int greenlet_settrace(lua_State *L)
{
    lua_settop(L, 1);
    if (!lua_isnil(L, 1))
        ml_check_callable(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ml_greenlet_tracer_key);
    lua_insert(L, 1);
    ml_greenlet_set_tracer(L);
    return 1;
}

/***
Returns the trace function.
@function gettrace
@return the trace function, or nil
*/
static int greenlet_gettrace(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ml_greenlet_tracer_key);
    return 1;
}

/* ---- fields ---- */

static const char *const state_names[] = {"not started", "suspended", "running", "dead"};

static int greenlet_tostring(lua_State *L)
{
    struct ml_greenlet *greenlet = ml_check_greenlet(L, 1);
    lua_pushfstring(L, "greenlet: %p (%s)", (void *)greenlet,
                    ml_greenlet_is_root(greenlet) ? "root of a task"
                                                  : state_names[greenlet->state]);
    return 1;
}

static int push_parent(lua_State *L, struct ml_greenlet *greenlet)
{
    lua_getiuservalue(L, 1, ML_GREENLET_PARENT);
    bool belongs_here = greenlet->task == ml_greenlet_task(L)->task.id;
    if (lua_isnil(L, -1) && !ml_greenlet_is_root(greenlet) && belongs_here)
        ml_greenlet_push_root(L, ml_greenlet_task(L));
    return 1;
}

static bool is_key(lua_State *L, const char *name)
{
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    return strcmp(key, name) == 0;
}

/* Upvalue: the methods. */
static int greenlet_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (ml_likely(lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL))
        return 1;
    struct ml_greenlet *greenlet = ml_check_greenlet(L, 1);
    if (is_key(L, "parent"))
        return push_parent(L, greenlet);
    if (is_key(L, "dead"))
        lua_pushboolean(L, !ml_greenlet_is_root(greenlet) && greenlet->state == ML_GREENLET_DEAD);
    else if (is_key(L, "started"))
        lua_pushboolean(L, ml_greenlet_is_root(greenlet) || greenlet->state != ML_GREENLET_NEW);
    return 1;
}

static void check_no_cycle(lua_State *L, const struct ml_greenlet *greenlet,
                           const struct ml_greenlet *parent)
{
    for (; parent != NULL; parent = parent->parent)
        if (parent == greenlet)
            luaL_error(L, "cyclic parent chain");
}

static int greenlet_newindex(lua_State *L)
{
    struct ml_greenlet *greenlet = ml_check_greenlet(L, 1);
    if (!is_key(L, "parent"))
        return luaL_error(L, "cannot set field '%s' of a greenlet", luaL_tolstring(L, 2, NULL));
    if (ml_greenlet_is_root(greenlet))
        return luaL_error(L, "cannot set the parent of a task's root greenlet");
    struct ml_greenlet *parent = ml_test_object(L, 3, ml_greenlet_type);
    if (parent == NULL)
        return luaL_error(L, "parent must be a greenlet, got %s", luaL_typename(L, 3));
    if (parent->task != greenlet->task)
        return luaL_error(L, "parent is a greenlet of another task");
    check_no_cycle(L, greenlet, parent);
    ml_greenlet_set_parent(L, 1, 3, parent);
    return 0;
}

/* ---- GreenletExit ---- */

static int exit_tostring(lua_State *L)
{
    lua_pushliteral(L, "GreenletExit");
    return 1;
}

static void make_exit(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, exit_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "GreenletExit");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ml_greenlet_exit_key);
}

int ml_open_greenlet(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", greenlet_new},
                                         {"current", greenlet_current},
                                         {"settrace", greenlet_settrace},
                                         {"gettrace", greenlet_gettrace},
                                         {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"switch", ml_greenlet_switch}, {"throw", ml_greenlet_throw}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", ml_greenlet_gc},
                                           {"__tostring", greenlet_tostring},
                                           {"__newindex", greenlet_newindex},
                                           {NULL, NULL}};
    static const struct ml_greenlet_hooks hooks = {.body = ml_greenlet_body,
                                                   .abandon = ml_greenlet_abandon,
                                                   .kill_dropped = ml_greenlet_kill_dropped,
                                                   .orphan = ml_greenlet_orphan};
    ml_lua_of(L)->task_hooks.greenlet = &hooks;
    ml_greenlet_open_collectgarbage(L);
    make_exit(L);
    ml_greenlet_objects_open(L);
    ml_greenlet_open_dropped(L);
    lua_pushliteral(L, "too many results of a greenlet");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ml_greenlet_overfull_key);
    ml_open_object_type(L, ml_greenlet_type, methods, metamethods);
    luaL_getmetatable(L, ml_greenlet_type);
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, greenlet_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    ml_greenlet_push_exit(L);
    lua_setfield(L, -2, "GreenletExit");
    return 1;
}
