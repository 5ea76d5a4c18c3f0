/*
 * The limit on what a task computes between two waits (options.instruction_limit). Beyond it the task is ended as
 * if cancelled, and again at every further look; one that goes on in spite of that is dropped where it stands,
 * its variables not closed.
 */
#include "bindings/cancellation.h"
#include "bindings/lua_task.h"
#include "hub/scope.h"
#include "vm/moonlet_state.h"

#include <stdio.h>

/* Instructions between two looks. */
enum { LOOK = 1000 };

/* How many times the limit a task may still take to end. */
enum { GRACE = 4 };

static void tell(struct moonlet *m, struct ml_lua_task *task)
{
    char text[256];
    snprintf(text, sizeof text,
             "task #%llu, spawned at %s, was ended: more than %lu instructions without a wait",
             (unsigned long long)task->task.id, ml_place_text(&m->lua.places, task->place),
             m->options.instruction_limit);
    m->lua.report(&m->lua, text);
    m->lua.has_reported = true;
}

static void on_look(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    if (m->lua.hub.current == NULL)
        return;
    struct ml_lua_task *task = ml_lua_task_of(m->lua.hub.current);
    unsigned long computed = (unsigned long)++task->computed * LOOK;
    if (computed <= m->options.instruction_limit)
        return;
    if (computed <= m->options.instruction_limit + LOOK && !task->task.was_cancelled)
        tell(m, task);
    if (computed / GRACE > m->options.instruction_limit)
        ml_lua_task_restart(&m->lua, ML_RUN_OVERRUN);
    ml_task_cancel(&task->task);
    ml_cancellation_raise(L);
}

/*
 * An error out of a hook leaves hooks switched off on its thread, until a protected call has caught it: closing
 * variables would run unwatched. Stack: the task's function and its arguments.
 */
static int call_protected(lua_State *L)
{
    if (lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) != LUA_OK)
        return lua_error(L);
    return lua_gettop(L);
}

void ml_budget_watch(lua_State *L)
{
    lua_pushcfunction(L, call_protected);
    lua_insert(L, 1);
    lua_sethook(L, on_look, LUA_MASKCOUNT, LOOK);
}
