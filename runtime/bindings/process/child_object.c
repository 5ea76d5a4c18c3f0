#include "bindings/process/child_object.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/sync/select_source.h"
#include "system/signal/signal_name.h"

static const char child_type[] = "child of the process";

struct ml_child_object *ml_push_child_object(lua_State *L)
{
    struct ml_child_object *object = ml_push_object(L, child_type, sizeof *object, 1);
    ml_object_note_source_line(L, object);
    return object;
}

static struct ml_child_object *check_child(lua_State *L, int index)
{
    return ml_check_object(L, index, child_type);
}

/* Whether its end is still to be waited for. */
static bool runs(const struct ml_child_object *object)
{
    return object->child != NULL && object->child->end == ML_CHILD_RUNS;
}

/* Asks it to end, unless it is detached. */
static void leave(struct ml_child_object *object)
{
    if (object->child != NULL && !object->child->is_detached)
        ml_child_terminate(object->child);
    object->is_closed = true;
}

/* Whether what is cancelled is the scope in which the running task has started it, or one around
 * that: then it goes with the scope. A limit on the wait alone leaves it. */
static bool goes_with_scope(const struct ml_child_object *object, const struct ml_task *task)
{
    if (task->id != object->child->task)
        return false;
    bool is_inside = true; /* serials count from 1 */
    for (const struct ml_scope *scope = task->scope; scope != NULL; scope = scope->outer) {
        is_inside = is_inside && scope->serial != object->child->scope;
        if (!is_inside && (scope->cancelled || scope->expired))
            return true;
    }
    return task->was_cancelled;
}

/* error: of the running task's wait, or of the cancel point before it. */
static void go_with_scope(struct ml_child_object *object, const struct ml_task *task, int error)
{
    if (error == -ECANCELED && goes_with_scope(object, task))
        leave(object);
}

static __attribute__((noinline)) int wait_for_end(lua_State *L, struct ml_child_object *object,
                                                  ml_time deadline)
{
    ml_blocking_begin_until(L, deadline);
    int error = ml_child_wait(object->child, deadline);
    go_with_scope(object, ml_lua_of(L)->hub.current, error);
    return ml_blocking_end_until(L, deadline, error);
}

/* Pushes how it ended: a word and the status, or the name of the signal. */
static int push_end(lua_State *L, const struct ml_child *child)
{
    char name[ML_SIGNAL_NAME_ROOM];
    switch (child->end) {
    case ML_CHILD_EXITED:
        lua_pushliteral(L, "status");
        lua_pushinteger(L, child->number);
        return 2;
    case ML_CHILD_SIGNALED:
        lua_pushliteral(L, "signal");
        lua_pushstring(L, ml_signal_name(child->number, name));
        return 2;
    default:
        lua_pushliteral(L, "unknown");
        return 1;
    }
}

/* child:wait([timeout]) -> "status", number; "signal", name; "unknown"; or nil, message, code. */
static int child_wait(lua_State *L)
{
    struct ml_child_object *object = check_child(L, 1);
    ml_time deadline = ml_check_deadline(L, 2);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current != NULL)
        go_with_scope(object, hub->current, ml_cancel_point_until(hub, deadline));
    ml_blocking_enter(L, deadline);
    int error = runs(object) ? wait_for_end(L, object, deadline) : 0;
    return error == 0 ? push_end(L, object->child) : ml_push_failure(L, error);
}

/* child:signal(number) -> true; or nil, message, code. */
static int child_signal(lua_State *L)
{
    struct ml_child_object *object = check_child(L, 1);
    return ml_push_outcome(L, ml_child_signal(object->child, (int)luaL_checkinteger(L, 2)));
}

/* child:runs() -> boolean */
static int child_runs(lua_State *L)
{
    lua_pushboolean(L, runs(check_child(L, 1)));
    return 1;
}

static int child_close(lua_State *L)
{
    leave(check_child(L, 1));
    return 0;
}

static int child_tostring(lua_State *L)
{
    static const char *const states[] = {"runs", "ended", "ended", "ended"};
    const struct ml_child_object *object = check_child(L, 1);
    const char *state = object->child != NULL ? states[object->child->end] : "not started";
    lua_getiuservalue(L, 1, 1);
    lua_pushfstring(L, "process %d %s (%s)", (int)object->pid, lua_tostring(L, -1), state);
    return 1;
}

static int child_gc(lua_State *L)
{
    struct ml_child_object *object = check_child(L, 1);
    if (object->child == NULL)
        return 0;
    if (runs(object) && !object->is_closed && !object->child->is_detached)
        ml_warn_unclosed(L, object);
    ml_child_leave(object->child);
    object->child = NULL;
    return 0;
}

/* ---- in select ---- */

static int attempt_to_wait(lua_State *L, int index)
{
    return runs(ml_to_object(L, index)) ? -EAGAIN : 0;
}

static int watch(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                 ml_time *again)
{
    (void)lua;
    (void)is_short;
    (void)again;
    struct ml_child_object *o = object;
    ml_list_insert(&o->child->ended.waiters, &waiter->link);
    return 0;
}

static void unwatch(void *object)
{
    (void)object;
}

static const struct ml_select_source select_source = {
    .type = child_type, .attempt = attempt_to_wait, .watch = watch, .unwatch = unwatch};

static const luaL_Reg methods[] = {{"wait", child_wait},
                                   {"signal", child_signal},
                                   {"runs", child_runs},
                                   {"close", child_close},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", child_gc}, {"__close", child_close}, {"__tostring", child_tostring}, {NULL, NULL}};

void ml_open_child_type(lua_State *L)
{
    ml_open_object_type(L, child_type, methods, metamethods);
    ml_lua_of(L)->select.sources[ML_SELECT_CHILD] = &select_source;
}
