#include "bindings/core/lua_spawn.h"

#include "base/check.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/task_attribute.h"
#include "bindings/core/thread_pool.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"

#include <lauxlib.h>
#include <string.h>

static struct ml_lua_task *push_new_task(lua_State *L, const struct ml_lua_spawn *options)
{
    bool is_member = options->group != NULL;
    size_t size = is_member ? ml_lua_of(L)->task_hooks.member->size : sizeof(struct ml_lua_task);
    int values = options->name != NULL ? ml_task_name_value(is_member)
                 : is_member           ? ML_TASK_GROUP
                                       : ML_TASK_THREAD;
    struct ml_lua_task *task = lua_newuserdatauv(L, size, values);
    memset(task, 0, size);
    ml_lua_push_task_type(L);
    lua_setmetatable(L, -2);
    if (options->name != NULL) {
        lua_pushvalue(L, options->name_index);
        lua_setiuservalue(L, -2, ml_task_name_value(is_member));
        task->is_named = true;
    }
    if (is_member) {
        lua_pushvalue(L, options->group_index);
        lua_setiuservalue(L, -2, ML_TASK_GROUP);
        task->is_member = true;
    }
    task->is_quiet = options->is_quiet;
    task->preempt_after = options->preempt_after;
    task->source_line = (uint16_t)ml_source_line_of(&ml_lua_of(L)->source_lines, L, 1);
    return task;
}

/* The new task, on top of the stack, starts with a copy of the spawner's locals. */
static void inherit_locals(lua_State *L, struct ml_lua_task *task)
{
    struct ml_task *spawner = ml_lua_of(L)->hub.current;
    if (ml_likely(spawner == NULL || !ml_lua_task_of(spawner)->has_locals))
        return;
    lua_newtable(L);
    int copy = lua_gettop(L);
    ml_lua_push_task(L, ml_lua_task_of(spawner));
    ml_attribute_get(L, ML_ATTRIBUTE_LOCALS, -1);
    for (lua_pushnil(L); lua_next(L, copy + 2) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, copy);
    }
    lua_settop(L, copy);
    ml_attribute_set(L, ML_ATTRIBUTE_LOCALS, copy - 1);
    task->has_locals = true;
}

/* Enlarges the table of tasks by some entries, for good. */
static int add_places(lua_State *L)
{
    enum { PLACES = 32 };
    struct ml_lua *lua = ml_lua_of(L);
    ml_lua_push_tasks(L);
    for (int i = 0; i < PLACES; i++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, -2, (lua_Integer)lua->tasks.places + 1);
        lua->tasks.places++;
    }
    return 0;
}

/* Ensures that anchoring a Task at `slot` needs no memory; false: there is none. No finalizer runs
 * meanwhile. */
static bool has_place(lua_State *L, uint32_t slot)
{
    struct ml_lua *lua = ml_lua_of(L);
    bool has_place = true;
    while (ml_unlikely(has_place && slot >= lua->tasks.places)) {
        lua_pushcfunction(L, add_places);
        has_place = lua_pcall(L, 0, 0, 0) == LUA_OK;
        lua_pop(L, !has_place);
    }
    return has_place;
}

/* Keeps the Task on top of the stack alive while it has `slot`. */
static void anchor(lua_State *L, uint32_t slot)
{
    ml_lua_push_tasks(L);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (lua_Integer)slot + 1);
    lua_pop(L, 1);
}

void ml_lua_unanchor(lua_State *L, uint32_t slot)
{
    ml_lua_push_tasks(L);
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, (lua_Integer)slot + 1);
    lua_pop(L, 1);
}

/* Gives the thread back: nothing was spawned on it. */
static __attribute__((noinline)) int give_up(lua_State *L, struct ml_pool_thread thread,
                                             const char *why)
{
    ml_thread_give_back(ml_lua_of(L), thread, true);
    return luaL_error(L, why);
}

int ml_lua_spawn(lua_State *L, const struct ml_lua_spawn *options, int count)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (lua->is_closing)
        return luaL_error(L, "cannot spawn a task: the program is closing");
    luaL_checkstack(L, 8, NULL);
    struct ml_lua_task *task = push_new_task(L, options);
    int handle = lua_gettop(L);
    inherit_locals(L, task);
    struct ml_pool_thread thread = ml_thread_take(L, handle);
    if (ml_unlikely(!lua_checkstack(thread.L, count + 2)))
        return give_up(L, thread, "too many arguments");
    /* From here to the spawn nothing may collect: a finalizer could spawn into the same slot. */
    uint32_t slot = ml_slots_next(&lua->hub.slots);
    if (ml_unlikely(!has_place(L, slot)))
        return give_up(L, thread, "not enough memory");
    anchor(L, slot);
    struct ml_spawn_options how = {options->is_daemon, options->private_stack};
    int error = ml_task_spawn(&lua->hub, &task->task, ml_strand_of(thread.L), how);
    if (ml_unlikely(error != 0)) {
        ml_lua_unanchor(L, slot);
        if (!options->private_stack)
            return give_up(L, thread, "not enough memory");
        ml_thread_give_back(lua, thread, true);
        lua_pop(L, 1 + count);
        return error;
    }
    task->L = task->parked_on = thread.L;
    task->pool_index = thread.index;
    if (options->group != NULL)
        lua->task_hooks.member->begin(options->group, task);
    if (lua->is_unwinding)
        ml_task_cancel(&task->task);
    lua_insert(L, handle - count);
    lua_xmove(L, thread.L, count);
    if (ml_unlikely(lua->watch_thread != NULL))
        lua->watch_thread(NULL, thread.L);
    return 0;
}
