/*** @submodule moonlet.greenlet */
/* Enters and leaves greenlets: switch, throw, and the end of one. */
#include "bindings/coroutine/greenlet_switch.h"

#include "bindings/core/blocking.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/object.h"
#include "bindings/core/story.h"
#include "bindings/core/task_body.h"
#include "bindings/coroutine/greenlet_object.h"

#include <errno.h>

const char ml_greenlet_exit_key, ml_greenlet_tracer_key, ml_greenlet_overfull_key;

/* Key in the registry: the last greenlet that was left, while there is a trace function. */
static const char left_key;

/* ---- the end ---- */

void ml_greenlet_push_exit(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ml_greenlet_exit_key);
}

/* Whether the value on top of L is GreenletExit. */
static bool is_exit(lua_State *L)
{
    ml_greenlet_push_exit(L);
    bool is = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return is;
}

/*
 * Finds the receiver of the values for the greenlet whose object is at `object` on L: the nearest
 * one that lives. An error kills those on the way that have not begun, unless a trace function must
 * see each begin and die; GreenletExit on top of L is a value from there on. The object is replaced
 * by the one found, nil for the root. Returns it, NULL for the root.
 */
static struct ml_greenlet *find_living(lua_State *L, int object, struct ml_greenlet *target,
                                       bool *is_thrown)
{
    bool is_seen = ml_lua_of(L)->greenlets.are_traced;
    while (target != NULL && !ml_greenlet_is_root(target)) {
        bool dies = target->state == ML_GREENLET_NEW && *is_thrown && !is_seen;
        if (target->state != ML_GREENLET_DEAD && !dies)
            return target;
        target->state = ML_GREENLET_DEAD;
        *is_thrown = *is_thrown && !is_exit(L);
        lua_getiuservalue(L, object, ML_GREENLET_PARENT);
        lua_replace(L, object);
        target = target->parent;
    }
    return NULL;
}

/* ---- tracing ---- */

void ml_greenlet_set_tracer(lua_State *L)
{
    ml_lua_of(L)->greenlets.are_traced = !lua_isnil(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ml_greenlet_tracer_key);
    /* Room for a value that is noted later, where an error for want of memory could not be caught.
     */
    lua_pushboolean(L, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &left_key);
}

/* Calls the trace function for a switch to the running greenlet. An error of its own removes it and
 * is raised here. */
static void trace_arrival(lua_State *L, bool is_thrown)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ml_greenlet_tracer_key);
    lua_pushstring(L, is_thrown ? "throw" : "switch");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &left_key);
    ml_greenlet_push_current(L, ml_greenlet_task(L));
    if (lua_pcall(L, 3, 0, 0) == LUA_OK)
        return;
    lua_pushnil(L);
    ml_greenlet_set_tracer(L);
    lua_error(L);
}

/* ---- switching ---- */

/* Makes `target`, NULL for the root, the current one; the root stands on `root`. */
static void set_current(struct ml_lua_task *task, struct ml_greenlet *target, lua_State *root)
{
    task->greenlet = target;
    if (target == NULL)
        return;
    target->state = ML_GREENLET_RUNNING;
    target->root = root;
}

/* The thread on which a greenlet, NULL for the root, receives its values. */
static lua_State *receiver_of(const struct ml_greenlet *target, lua_State *root)
{
    if (target == NULL)
        return root;
    return target->state == ML_GREENLET_NEW ? target->L : target->stand;
}

/* Returns the results of `switch`, or raises, after a switch back. Stack: object, values. */
static int arrive(lua_State *L)
{
    struct ml_lua_task *task = ml_greenlet_task(L);
    bool is_thrown = task->is_thrown;
    task->is_thrown = false;
    if (ml_unlikely(ml_lua_of(L)->greenlets.are_traced))
        trace_arrival(L, is_thrown);
    if (ml_unlikely(is_thrown))
        return lua_error(L);
    return lua_gettop(L) - 1;
}

/* Whether L may be left without a closer look: it is the thread of the running strand, no generator
 * is between it and the greenlet's own, and Lua itself could yield there, so that no finalizer runs
 * in the greenlet. */
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

/* Makes the running greenlet the root's first value. Stack: object of the target, values. */
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
    ml_greenlet_push_current(L, task);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &left_key);
}

/* Leaves off in the call on L for `target`, which has its values; returns at a switch back. 0, or
 * -ENOMEM with nothing done. */
static inline int leave_for(lua_State *L, struct ml_lua_task *task, struct ml_greenlet *target,
                            lua_State *root)
{
    struct ml_greenlet *from = task->greenlet;
    enum ml_greenlet_state before = target != NULL ? target->state : ML_GREENLET_RUNNING;
    if (from != NULL) {
        from->state = ML_GREENLET_SUSPENDED;
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

/* Called when the target begins or goes on, while a hook must be on every thread. */
static __attribute__((noinline)) void watch(lua_State *L, const struct ml_greenlet *target,
                                            lua_State *receiver)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (target != NULL && target->state == ML_GREENLET_NEW && lua->watch_thread != NULL)
        lua->watch_thread(L, receiver);
    ml_hooks_attend(receiver);
}

/*
 * Gives the values above the object at 1, or the error on top, to the greenlet of that object and
 * goes on with it. After a switch back, returns the results of the caller's own `switch` call.
 */
static inline int send(lua_State *L, bool is_thrown)
{
    struct ml_lua_task *task = ml_greenlet_task(L);
    struct ml_greenlet *target = ml_to_object(L, 1);
    check_may_switch(L, task, target);
    if (ml_unlikely(ml_lua_of(L)->greenlets.are_traced))
        remember_left(L, task);
    target = find_living(L, 1, target, &is_thrown);
    task->is_thrown = is_thrown;
    if (target == task->greenlet)
        return arrive(L);
    lua_State *root = task->greenlet != NULL ? task->greenlet->root : L;
    lua_State *receiver = receiver_of(target, root);
    int count = lua_gettop(L) - 1;
    if (!lua_checkstack(receiver, count + 3))
        return luaL_error(L, "too many values to switch");
    if (ml_hooks_are_standing(&ml_lua_of(L)->hooks))
        watch(L, target, receiver);
    keep_alive(L, task, target);
    lua_xmove(L, receiver, count);
    if (leave_for(L, task, target, root) != 0) {
        lua_pop(receiver, count);
        return luaL_error(L, "not enough memory");
    }
    return arrive(L);
}

/***
Goes on with the greenlet. The first time its function is called with the values; later its own
pending call of `switch` returns them. A dead one stands for its nearest living ancestor. The switch
itself lets no other task run.
@function Greenlet:switch
@param ... any values
@return the values of the switch back to this greenlet, or the results of a child that ended
*/
__attribute__((flatten)) int ml_greenlet_switch(lua_State *L)
{
    ml_check_greenlet(L, 1);
    ml_blocking_attend(L);
    return send(L, false);
}

/***
Goes on with the greenlet, where an error is raised. One that has not begun dies at once, and the
error goes to its parent, as for one that is dead.
@function Greenlet:throw
@param[opt] err GreenletExit without
*/
int ml_greenlet_throw(lua_State *L)
{
    ml_check_greenlet(L, 1);
    ml_blocking_attend(L);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        ml_greenlet_push_exit(L);
        lua_replace(L, 2);
    }
    return send(L, true);
}

int ml_greenlet_end(lua_State *L)
{
    lua_settop(L, 1);
    ml_greenlet_push_exit(L);
    return send(L, true);
}

/* ---- the body ---- */

/* Moves the results of the ended greenlet, `count` values or the error on top of its thread, to
 * `receiver`. */
static bool hand_down(lua_State *L, lua_State *receiver, int count, bool is_thrown)
{
    if (lua_checkstack(receiver, count + 1)) {
        lua_xmove(L, receiver, count);
        return is_thrown;
    }
    lua_pop(L, count);
    lua_rawgetp(receiver, LUA_REGISTRYINDEX, &ml_greenlet_overfull_key);
    return true;
}

/* The greenlet on L has ended with `count` values, or an error, on top: finds its heir and gives
 * them to it. */
static struct ml_greenlet *bequeath(struct ml_lua_task *task, lua_State *L, int count,
                                    bool is_thrown)
{
    struct ml_greenlet *self = task->greenlet;
    lua_State *root = self->root;
    if (is_thrown && is_exit(L))
        is_thrown = false;
    self->state = ML_GREENLET_DEAD;
    if (ml_lua_of(L)->greenlets.are_traced)
        remember_left(L, task);
    /* The object of the heir, below the value that find_living() examines. */
    lua_checkstack(L, 4);
    lua_getiuservalue(root, 1, ML_GREENLET_PARENT);
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

/* Runs first in a greenlet that begins while there is a trace function. Stack: function, arguments,
 * or the error that kills it. */
static int traced_body(lua_State *L)
{
    struct ml_lua_task *task = ml_greenlet_task(L);
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
    if (lua->greenlets.are_traced) {
        lua_pushcfunction(L, traced_body);
        lua_insert(L, 1);
    }
    bool is_thrown = ml_resume_to_the_end(L) != LUA_OK;
    if (is_thrown && !is_exit(L))
        ml_story_note(lua, ml_lua_task_of(lua->hub.current), L, 0);
    if (is_thrown)
        lua_resetthread(L);
    task = ml_lua_task_of(lua->hub.current); /* another task, if the greenlet was out of reach */
    struct ml_greenlet *heir = bequeath(task, L, is_thrown ? 1 : lua_gettop(L), is_thrown);
    lua_settop(L, 0);
    ml_branch_exit(&lua->hub, &self->branch, heir != NULL ? &heir->branch : NULL);
}

void ml_greenlet_abandon(struct ml_lua_task *task)
{
    if (task->greenlet != NULL)
        task->greenlet->state = ML_GREENLET_DEAD;
    task->greenlet = NULL;
}
