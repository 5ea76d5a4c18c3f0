/* The module moonlet.greenlet. */
#include "bindings/greenlet.h"

#include "bindings/blocking.h"
#include "bindings/generator.h"
#include "bindings/lua_task.h"
#include "bindings/modules.h"
#include "bindings/task_options.h"

#include <errno.h>
#include <string.h>

static const char greenlet_type[] = "greenlet";

enum state { NEW, SUSPENDED, RUNNING, DEAD };

/* User values of a greenlet: its thread; its parent, nil for the root of the task. */
enum { THREAD = 1, PARENT = 2 };

struct ml_greenlet {
    struct ml_branch branch;
    lua_State *L;               /* its thread; NULL for a task's root */
    lua_State *stand;           /* of its own `switch` call, while it is suspended */
    lua_State *root;            /* of the root's `switch` call, while this one runs */
    struct ml_greenlet *parent; /* NULL: the root */
    uint64_t task;              /* id of the task it belongs to */
    enum state state;
};

/* Keys in the registry: the root objects by Task; GreenletExit; the trace function; the last that was
 * left, while there is a trace function. */
static const char roots_key, exit_key, tracer_key, left_key;

/* ---- objects ---- */

static struct ml_greenlet *check_greenlet(lua_State *L, int index)
{
    return ml_check_object(L, index, greenlet_type);
}

static bool is_root(const struct ml_greenlet *greenlet)
{
    return greenlet->L == NULL;
}

static struct ml_lua_task *current_task(lua_State *L)
{
    struct ml_task *task = ml_lua_of(L)->hub.current;
    if (task == NULL)
        luaL_error(L, "no task is running");
    return ml_lua_task_of(task);
}

static struct ml_greenlet *push_new(lua_State *L, const struct ml_lua_task *task)
{
    struct ml_greenlet *greenlet = ml_push_object(L, greenlet_type, sizeof *greenlet, 2);
    greenlet->task = task->task.id;
    return greenlet;
}

/* Pushes the object that stands for the task's own body; makes it at the first call. */
static struct ml_greenlet *push_root(lua_State *L, struct ml_lua_task *task)
{
    luaL_checkstack(L, 6, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &roots_key);
    ml_lua_push_task(L, task);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
        lua_pop(L, 1);
        push_new(L, task)->state = RUNNING;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
    return ml_to_object(L, -1);
}

static void push_current(lua_State *L, struct ml_lua_task *task)
{
    if (task->greenlet == NULL) {
        push_root(L, task);
        return;
    }
    /* The first value of the `switch` call in which the root stands: it keeps the one that runs alive. */
    lua_State *root = task->greenlet->root;
    lua_pushvalue(root, 1);
    lua_xmove(root, L, 1);
}

/* ---- the end ---- */

static void push_exit(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &exit_key);
}

/* Whether the value on top of L is GreenletExit. */
static bool is_exit(lua_State *L)
{
    push_exit(L);
    bool is = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return is;
}

/*
 * Finds who is to be given what was meant for the greenlet whose object is at `object` on L: the nearest
 * one that lives. An error kills those on the way that have not begun, unless a trace function is to see each
 * begin and die; GreenletExit on top of L is a value from there on. The object is replaced by the one found, nil
 * for the root; returns it, NULL for the root.
 */
static struct ml_greenlet *find_living(lua_State *L, int object, struct ml_greenlet *target,
                                       bool *is_thrown)
{
    bool is_seen = ml_lua_of(L)->traces_greenlets;
    while (target != NULL && !is_root(target)) {
        bool dies = target->state == NEW && *is_thrown && !is_seen;
        if (target->state != DEAD && !dies)
            return target;
        target->state = DEAD;
        *is_thrown = *is_thrown && !is_exit(L);
        lua_getiuservalue(L, object, PARENT);
        lua_replace(L, object);
        target = target->parent;
    }
    return NULL;
}

/* ---- tracing ---- */

static void set_tracer(lua_State *L)
{
    ml_lua_of(L)->traces_greenlets = !lua_isnil(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &tracer_key);
}

/* The running greenlet was switched to: the trace function is told. An error of its own removes it and is
 * raised here. */
static void trace_arrival(lua_State *L, bool is_thrown)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tracer_key);
    lua_pushstring(L, is_thrown ? "throw" : "switch");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &left_key);
    push_current(L, current_task(L));
    if (lua_pcall(L, 3, 0, 0) == LUA_OK)
        return;
    lua_pushnil(L);
    set_tracer(L);
    lua_error(L);
}

/* ---- switching ---- */

/* Makes `target`, NULL for the root, the current one; the root stands on `root`. */
static void set_current(struct ml_lua_task *task, struct ml_greenlet *target, lua_State *root)
{
    task->greenlet = target;
    if (target == NULL)
        return;
    target->state = RUNNING;
    target->root = root;
}

/* The thread on which a greenlet, NULL for the root, takes what it is given. */
static lua_State *receiver_of(const struct ml_greenlet *target, lua_State *root)
{
    if (target == NULL)
        return root;
    return target->state == NEW ? target->L : target->stand;
}

/* What `switch` returns, or raises, once somebody has switched back. Stack: object, values. */
static int arrive(lua_State *L)
{
    struct ml_lua_task *task = current_task(L);
    bool is_thrown = task->is_thrown;
    task->is_thrown = false;
    if (ml_unlikely(ml_lua_of(L)->traces_greenlets))
        trace_arrival(L, is_thrown);
    if (ml_unlikely(is_thrown))
        return lua_error(L);
    return lua_gettop(L) - 1;
}

/* Whether nothing speaks against leaving off on L that would take a closer look: it is the thread of the running
 * strand, no generator is between it and the greenlet's own, and Lua itself could yield there, so that no
 * finalizer runs in the greenlet. */
static inline bool is_plain(lua_State *L, const struct ml_lua_task *task)
{
    const struct ml_strand *strand = task->task.strand;
    const struct ml_greenlet *greenlet = task->greenlet;
    bool is_bottom = greenlet != NULL ? greenlet->branch.bottom == strand : task->task.depth == 0;
    return is_bottom && ml_strand_of(L) == strand && !(*ml_lua_mark(L) & ML_MARK_PARKED) &&
           lua_isyieldable(L);
}

static void check_may_switch(lua_State *L, const struct ml_lua_task *task,
                             const struct ml_greenlet *target)
{
    if (target->task != task->task.id)
        luaL_error(L, "cannot switch to a greenlet of another task");
    if (ml_unlikely(!is_plain(L, task)))
        ml_check_may_leave(L, "switch greenlets");
}

/* The root's first value is to be the one that runs. Stack: object of the target, values. */
static void keep_alive(lua_State *L, struct ml_lua_task *task, const struct ml_greenlet *target)
{
    if (target == NULL || task->greenlet == NULL)
        return;
    lua_State *root = task->greenlet->root;
    lua_pushvalue(L, 1);
    lua_xmove(L, root, 1);
    lua_replace(root, 1);
}

static __attribute__((noinline)) void remember_left(lua_State *L, struct ml_lua_task *task)
{
    push_current(L, task);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &left_key);
}

/* Leaves off in the call on L for `target`, which has its values; returns when somebody switches back. 0, or
 * -ENOMEM with nothing done. */
static inline int leave_for(lua_State *L, struct ml_lua_task *task, struct ml_greenlet *target,
                            lua_State *root)
{
    struct ml_greenlet *from = task->greenlet;
    enum state before = target != NULL ? target->state : RUNNING;
    if (from != NULL) {
        from->state = SUSPENDED;
        from->stand = L;
    }
    set_current(task, target, root);
    *ml_lua_mark(L) |= ML_MARK_PARKED;
    int error = ml_branch_switch(&ml_lua_of(L)->hub, from != NULL ? &from->branch : NULL,
                                 target != NULL ? &target->branch : NULL);
    *ml_lua_mark(L) &= ~(uintptr_t)ML_MARK_PARKED;
    if (ml_unlikely(error != 0)) {
        if (target != NULL)
            target->state = before;
        set_current(task, from, root);
    }
    return error;
}

/*
 * Gives the values above the object at 1, or the error on top, to the greenlet of that object and goes on
 * with it. Returns what the caller's own `switch` call returns, when somebody switches back.
 */
static inline int send(lua_State *L, bool is_thrown)
{
    struct ml_lua_task *task = current_task(L);
    struct ml_greenlet *target = ml_to_object(L, 1);
    check_may_switch(L, task, target);
    if (ml_unlikely(ml_lua_of(L)->traces_greenlets))
        remember_left(L, task);
    target = find_living(L, 1, target, &is_thrown);
    task->is_thrown = is_thrown;
    if (target == task->greenlet)
        return arrive(L);
    lua_State *root = task->greenlet != NULL ? task->greenlet->root : L;
    lua_State *receiver = receiver_of(target, root);
    int count = lua_gettop(L) - 1;
    if (!lua_checkstack(receiver, count + 1))
        return luaL_error(L, "too many values to switch");
    keep_alive(L, task, target);
    lua_xmove(L, receiver, count);
    if (leave_for(L, task, target, root) != 0) {
        lua_pop(receiver, count);
        return luaL_error(L, "not enough memory");
    }
    return arrive(L);
}

/***
Goes on with the greenlet: the first time its function is called with the values, later the call of
`switch` in which it stands returns them. A dead one stands for its nearest living ancestor.
@function Greenlet:switch
@param ... any values
@return what somebody switches back with: the values given to this greenlet's own `switch`, or the results
of a child that ended
*/
__attribute__((flatten)) static int greenlet_switch(lua_State *L)
{
    check_greenlet(L, 1);
    return send(L, false);
}

/***
Goes on with the greenlet, where it raises an error. One that has not begun dies at once, and the error
goes to its parent, as for one that is dead.
@function Greenlet:throw
@param[opt] err GreenletExit without
*/
static int greenlet_throw(lua_State *L)
{
    check_greenlet(L, 1);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        push_exit(L);
        lua_replace(L, 2);
    }
    return send(L, true);
}

/* ---- the body ---- */

/* Moves what the ended greenlet leaves, `count` values or the error on top of its thread, to `receiver`. */
static bool hand_down(lua_State *L, lua_State *receiver, int count, bool is_thrown)
{
    if (lua_checkstack(receiver, count + 1)) {
        lua_xmove(L, receiver, count);
        return is_thrown;
    }
    lua_pop(L, count);
    lua_pushliteral(receiver, "too many results of a greenlet");
    return true;
}

/* The greenlet on L has ended with `count` values, or an error, on top: finds who goes on and gives them to it. */
static struct ml_greenlet *bequeath(struct ml_lua_task *task, lua_State *L, int count,
                                    bool is_thrown)
{
    struct ml_greenlet *self = task->greenlet;
    lua_State *root = self->root;
    if (is_thrown && is_exit(L))
        is_thrown = false;
    self->state = DEAD;
    if (ml_lua_of(L)->traces_greenlets)
        remember_left(L, task);
    /* The object of the heir, below the value that finding it looks at. */
    lua_checkstack(L, 4);
    lua_getiuservalue(root, 1, PARENT);
    lua_xmove(root, L, 1);
    int object = lua_gettop(L);
    if (is_thrown)
        lua_pushvalue(L, object - 1);
    else
        lua_pushnil(L);
    struct ml_greenlet *heir = find_living(L, object, self->parent, &is_thrown);
    lua_pop(L, 1);
    lua_xmove(L, root, 1);
    if (heir != NULL)
        lua_replace(root, 1);
    else
        lua_pop(root, 1);
    task->is_thrown = hand_down(L, receiver_of(heir, root), count, is_thrown);
    set_current(task, heir, root);
    return heir;
}

/* Runs first in a greenlet that begins while there is a trace function. Stack: function, arguments, or the
 * error that kills it. */
static int traced_body(lua_State *L)
{
    struct ml_lua_task *task = current_task(L);
    bool is_thrown = task->is_thrown;
    task->is_thrown = false;
    trace_arrival(L, is_thrown);
    if (is_thrown)
        return lua_error(L);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

void ml_greenlet_body(struct ml_strand *strand)
{
    lua_State *L = ml_thread_of(strand);
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_lua_task *task = ml_lua_task_of(lua->hub.current);
    struct ml_greenlet *self = task->greenlet;
    if (lua->traces_greenlets) {
        lua_pushcfunction(L, traced_body);
        lua_insert(L, 1);
    }
    bool is_thrown = ml_resume_to_the_end(L) != LUA_OK;
    if (is_thrown)
        lua_resetthread(L);
    task =
        ml_lua_task_of(lua->hub.current); /* another one, if nobody could switch to it any more */
    struct ml_greenlet *heir = bequeath(task, L, is_thrown ? 1 : lua_gettop(L), is_thrown);
    lua_settop(L, 0);
    ml_branch_exit(&lua->hub, &self->branch, heir != NULL ? &heir->branch : NULL);
}

void ml_greenlet_abandon(struct ml_lua_task *task)
{
    if (task->greenlet != NULL)
        task->greenlet->state = DEAD;
    task->greenlet = NULL;
}

/* ---- making ---- */

/* The parent given at `index`, or the running greenlet; its object takes that place. */
static struct ml_greenlet *check_parent(lua_State *L, int index, struct ml_lua_task *task)
{
    if (lua_isnoneornil(L, index)) {
        lua_settop(L, index - 1);
        push_current(L, task);
    }
    struct ml_greenlet *parent = ml_test_object(L, index, greenlet_type);
    luaL_argexpected(L, parent != NULL, index, "greenlet");
    luaL_argcheck(L, parent->task == task->task.id, index, "parent is a greenlet of another task");
    return parent;
}

/* Stack: the greenlet at `greenlet`, its parent's object at `object`. */
static void set_parent(lua_State *L, int greenlet, int object, struct ml_greenlet *parent)
{
    struct ml_greenlet *self = ml_to_object(L, greenlet);
    self->parent = is_root(parent) ? NULL : parent;
    if (is_root(parent))
        lua_pushnil(L);
    else
        lua_pushvalue(L, object);
    lua_setiuservalue(L, greenlet, PARENT);
}

/***
Makes a greenlet that will call fn; it begins with the first switch to it.
@function new
@tparam function fn
@tparam[opt] Greenlet parent who goes on when it dies; the caller without
@treturn Greenlet
*/
static int greenlet_new(lua_State *L)
{
    ml_check_callable(L, 1);
    struct ml_lua_task *task = current_task(L);
    struct ml_greenlet *parent = check_parent(L, 2, task);
    lua_settop(L, 2);
    struct ml_greenlet *greenlet = push_new(L, task);
    set_parent(L, 3, 2, parent);
    lua_State *thread = lua_newthread(L);
    lua_setiuservalue(L, 3, THREAD);
    *ml_lua_mark(thread) |= ML_MARK_GREENLET;
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    greenlet->L = thread;
    ml_lua_of(L)->uses_greenlets = true;
    greenlet->branch.bottom = greenlet->branch.top = ml_strand_of(thread);
    return 1;
}

/***
@function current
@treturn Greenlet the one that runs; the task's root outside of all others
*/
static int greenlet_current(lua_State *L)
{
    push_current(L, current_task(L));
    return 1;
}

/***
From now on fn(event, from, to) is called after each switch, by the greenlet that was switched to; event
is "switch" or "throw". When it raises an error, it is removed, and the error goes on there.
@function settrace
@tparam ?function fn nil: no more
@return the one before, or nil
*/
static int greenlet_settrace(lua_State *L)
{
    lua_settop(L, 1);
    if (!lua_isnil(L, 1))
        ml_check_callable(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tracer_key);
    lua_insert(L, 1);
    set_tracer(L);
    return 1;
}

/***
@function gettrace
@return the trace function, or nil
*/
static int greenlet_gettrace(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tracer_key);
    return 1;
}

/* ---- unreferenced ones ---- */

/* The function of the task that ends a greenlet which nobody can switch to any more. Stack: the
 * greenlet. */
static int reap(lua_State *L)
{
    struct ml_greenlet *greenlet = ml_to_object(L, 1);
    struct ml_lua_task *task = current_task(L);
    greenlet->task = task->task.id;
    greenlet->parent = NULL;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, PARENT);
    push_exit(L);
    return send(L, true);
}

static int greenlet_gc(lua_State *L)
{
    static const struct ml_lua_spawn options = {.name = "greenlet exit", .name_index = 2};
    struct ml_greenlet *greenlet = ml_to_object(L, 1);
    struct ml_lua *lua = ml_lua_of(L);
    if (greenlet->L == NULL || greenlet->state != SUSPENDED || lua->is_closing)
        return 0;
    lua_settop(L, 1);
    lua_pushstring(L, options.name);
    lua_pushcfunction(L, reap);
    lua_pushvalue(L, 1);
    ml_lua_spawn(L, &options, 2);
    return 0;
}

/* ---- fields ---- */

static const char *const state_names[] = {"not started", "suspended", "running", "dead"};

static int greenlet_tostring(lua_State *L)
{
    struct ml_greenlet *greenlet = check_greenlet(L, 1);
    lua_pushfstring(L, "greenlet: %p (%s)", (void *)greenlet,
                    is_root(greenlet) ? "root of a task" : state_names[greenlet->state]);
    return 1;
}

static int push_parent(lua_State *L, struct ml_greenlet *greenlet)
{
    lua_getiuservalue(L, 1, PARENT);
    bool belongs_here = greenlet->task == current_task(L)->task.id;
    if (lua_isnil(L, -1) && !is_root(greenlet) && belongs_here)
        push_root(L, current_task(L));
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
    struct ml_greenlet *greenlet = check_greenlet(L, 1);
    if (is_key(L, "parent"))
        return push_parent(L, greenlet);
    if (is_key(L, "dead"))
        lua_pushboolean(L, !is_root(greenlet) && greenlet->state == DEAD);
    else if (is_key(L, "started"))
        lua_pushboolean(L, is_root(greenlet) || greenlet->state != NEW);
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
    struct ml_greenlet *greenlet = check_greenlet(L, 1);
    if (!is_key(L, "parent"))
        return luaL_error(L, "cannot set field '%s' of a greenlet", luaL_tolstring(L, 2, NULL));
    if (is_root(greenlet))
        return luaL_error(L, "cannot set the parent of a task's root greenlet");
    struct ml_greenlet *parent = ml_test_object(L, 3, greenlet_type);
    if (parent == NULL)
        return luaL_error(L, "parent must be a greenlet, got %s", luaL_typename(L, 3));
    if (parent->task != greenlet->task)
        return luaL_error(L, "parent is a greenlet of another task");
    check_no_cycle(L, greenlet, parent);
    set_parent(L, 1, 3, parent);
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
    lua_rawsetp(L, LUA_REGISTRYINDEX, &exit_key);
}

static void make_roots(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &roots_key);
}

int ml_open_greenlet(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", greenlet_new},
                                         {"current", greenlet_current},
                                         {"settrace", greenlet_settrace},
                                         {"gettrace", greenlet_gettrace},
                                         {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"switch", greenlet_switch}, {"throw", greenlet_throw}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", greenlet_gc},
                                           {"__tostring", greenlet_tostring},
                                           {"__newindex", greenlet_newindex},
                                           {NULL, NULL}};
    make_exit(L);
    make_roots(L);
    ml_open_object_type(L, greenlet_type, methods, metamethods);
    luaL_getmetatable(L, greenlet_type);
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, greenlet_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    push_exit(L);
    lua_setfield(L, -2, "GreenletExit");
    return 1;
}
