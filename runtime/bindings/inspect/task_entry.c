#include "bindings/inspect/task_entry.h"

#include "bindings/core/task_attribute.h"
#include "bindings/core/task_view.h"
#include "bindings/inspect/accounts.h"
#include "bindings/inspect/frames.h"
#include "bindings/inspect/holders.h"
#include "bindings/net/address.h"
#include "hub/state/scope.h"

#include <lauxlib.h>

/* The most fields of task.locals() that are shown. */
enum { MOST_LOCALS = 10 };

const char *ml_task_state_name(const struct ml_task *task)
{
    static const char *const names[] = {[ML_TASK_NEW] = "new",
                                        [ML_TASK_READY] = "ready",
                                        [ML_TASK_RUNNING] = "running",
                                        [ML_TASK_WAITING] = "waiting",
                                        [ML_TASK_ENDED] = "ended"};
    return names[task->state];
}

const char *ml_task_wait_text(const struct ml_task *task)
{
    bool waits = task->state == ML_TASK_WAITING && task->waits_for != NULL;
    return waits ? task->waits_for->text : NULL;
}

/* ---- fields of the table on top of the stack ---- */

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void set_seconds(lua_State *L, const char *key, ml_time span)
{
    lua_pushnumber(L, span > 0 ? ml_time_to_seconds(span) : 0);
    lua_setfield(L, -2, key);
}

static void set_text(lua_State *L, const char *key, const char *value)
{
    if (value == NULL)
        return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void set_true(lua_State *L, const char *key, bool value)
{
    if (!value)
        return;
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, key);
}

/* ---- what it waits for ---- */

static void set_name(lua_State *L, struct ml_lua_task *task)
{
    if (!task->is_named)
        return;
    ml_lua_push_task(L, task);
    ml_lua_push_task_name(L, -1);
    lua_setfield(L, -3, "name");
    lua_pop(L, 1);
}

/* The peer of a connection, asked of the kernel: 0.3 us. */
static void set_peer(lua_State *L, int fd)
{
    struct ml_address peer;
    if (ml_address_of_peer(&peer, fd) != 0 || peer.size == 0)
        return;
    ml_push_address_text(L, &peer);
    lua_setfield(L, -2, "peer");
}

/* Adds `on`: the number of what the task waits for, and what is known of that. */
static void set_target(lua_State *L, const struct ml_task *task)
{
    struct ml_task *holder = ml_holder_of(ml_lua_of(L), task);
    bool is_known = task->waits_on > 0 && task->waits_for->target != ML_TARGET_NONE;
    if (!is_known)
        return;
    lua_createtable(L, 0, 2);
    if (task->waits_for->target == ML_TARGET_DESCRIPTOR) {
        set_integer(L, "descriptor", task->waits_on);
        set_peer(L, (int)task->waits_on);
    } else if (task->waits_for->target == ML_TARGET_PROCESS) {
        set_integer(L, "process", task->waits_on);
    } else {
        set_integer(L, "task", holder != NULL ? (lua_Integer)holder->id : task->waits_on);
        if (holder != NULL)
            set_name(L, ml_lua_task_of(holder));
    }
    lua_setfield(L, -2, "on");
}

/* Until when: the wait under way, or what the task does altogether. */
static void set_deadline(lua_State *L, const struct ml_task *task)
{
    ml_time deadline = ml_scope_deadline(task);
    if (task->state == ML_TASK_WAITING)
        deadline = ml_time_earlier(deadline, task->deadline);
    if (deadline != ML_FOREVER)
        set_seconds(L, "deadline", deadline - ml_hub_now(task->hub));
}

/* ---- the task itself ---- */

static size_t bytes_of(const struct ml_bank *bank, const struct ml_coro *coro)
{
    if (coro->seat == NULL)
        return 0;
    if (coro->copy_size > 0)
        return coro->copy_size;
    const char *top = ml_stack_top(&coro->seat->stack);
    const char *lowest = coro == bank->running ? __builtin_frame_address(0) : coro->sp;
    return (size_t)(top - lowest);
}

/* The C frames of all its strands. */
static size_t c_stack_of(const struct ml_task *task)
{
    size_t bytes = 0;
    for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer)
        bytes += bytes_of(&task->hub->bank, &strand->coro);
    return bytes;
}

static bool is_plain(lua_State *L, int index)
{
    int type = lua_type(L, index);
    return type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN;
}

/* Adds the plain values with names among the task's locals. */
static void set_locals(lua_State *L, struct ml_lua_task *task)
{
    if (!task->has_locals)
        return;
    int entry = lua_gettop(L), count = 0;
    ml_lua_push_task(L, task);
    ml_attribute_get(L, ML_ATTRIBUTE_LOCALS, -1);
    lua_newtable(L);
    for (lua_pushnil(L); count < MOST_LOCALS && lua_next(L, entry + 2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !is_plain(L, -1))
            continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, entry + 3);
        count++;
    }
    lua_settop(L, entry + 3);
    if (count > 0)
        lua_setfield(L, entry, "locals");
    lua_settop(L, entry);
}

static void set_origin(lua_State *L, const struct ml_lua_task *task)
{
    const struct ml_hub *hub = task->task.hub;
    set_seconds(L, "age", ml_hub_now(hub) - task->task.spawned_at);
    if (task->source_line != 0)
        set_text(L, "spawned", ml_source_line_text(&ml_lua_of(L)->source_lines, task->source_line));
}

/* What is known while accounts are kept. */
static void set_account(lua_State *L, const struct ml_task *task)
{
    struct ml_account account;
    if (!ml_account_of(ml_lua_of(L), task, &account))
        return;
    set_seconds(L, "cpu", account.ran);
    set_integer(L, "allocated", (lua_Integer)account.allocated);
    if (account.stack_high > 0)
        set_integer(L, "stack_high", account.stack_high);
    if (account.parent != 0)
        set_integer(L, "parent", (lua_Integer)account.parent);
    if (account.paused_at != 0 && task->state != ML_TASK_RUNNING)
        set_seconds(L, "paused", ml_clock_now() - account.paused_at);
}

static void set_calls(lua_State *L, const struct ml_lua_task *task, struct ml_dump_place place,
                      int names)
{
    bool runs = task->task.hub->current == &task->task && place.running != NULL;
    struct ml_frames frames = ml_frames(task, runs ? place.running : NULL, runs ? place.level : 0);
    ml_frames_push(L, task, frames, names);
    lua_setfield(L, -2, "stack");
}

void ml_task_entry_push(lua_State *L, struct ml_lua_task *task, struct ml_dump_place place,
                        int names)
{
    luaL_checkstack(L, 12, NULL);
    lua_createtable(L, 0, 12);
    set_integer(L, "id", (lua_Integer)task->task.id);
    set_name(L, task);
    set_text(L, "state", ml_task_state_name(&task->task));
    set_origin(L, task);
    set_integer(L, "switches", task->task.switches);
    if (ml_task_wait_text(&task->task) != NULL) {
        set_text(L, "waits_for", ml_task_wait_text(&task->task));
        set_target(L, &task->task);
    }
    set_deadline(L, &task->task);
    set_true(L, "cancelled", task->task.cancelled || task->task.was_cancelled);
    set_true(L, "daemon", task->task.is_daemon);
    set_integer(L, "c_stack", (lua_Integer)c_stack_of(&task->task));
    set_account(L, &task->task);
    set_locals(L, task);
    if (names != 0)
        set_calls(L, task, place, names);
}
