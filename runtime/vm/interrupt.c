/*
 * Ctrl-C and SIGTERM: every task is cancelled, clean-up runs, the program ends. A program of one task
 * that computes is interrupted as by lua5.4: its code gets the error "interrupted!", which it may
 * catch.
 */
#include "bindings/cancellation.h"
#include "bindings/lua_task.h"
#include "hub/scope.h"
#include "vm/moonlet_state.h"

#include <stddef.h>

enum { EVENTS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT };

static void on_event(lua_State *L, lua_Debug *event);

/* The hook may be on any thread of the task's chain: on the one that ran when the signal came. */
static void unhook(struct ml_lua_task *task)
{
    for (struct ml_strand *strand = task->task.strand; strand != NULL; strand = strand->resumer)
        if (lua_gethook(ml_thread_of(strand)) == on_event)
            lua_sethook(ml_thread_of(strand), NULL, 0, 0);
}

static void cancel_all(struct moonlet *m)
{
    struct ml_hub *hub = &m->lua.hub;
    struct ml_task *task;
    if (!m->lua.exit_asked)
        m->lua.exit_status = 128 + (int)m->interrupt;
    m->lua.exit_asked = true;
    m->interrupt = 0;
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;) {
        unhook(ml_lua_task_of(task));
        ml_task_cancel(task);
    }
}

/* The first step of the running code after the signal. */
static void on_event(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    bool is_as_lua = m->interrupt == SIGINT && m->lua.hub.alive == 1;
    lua_sethook(L, NULL, 0, 0);
    if (m->interrupt == 0)
        return;
    if (!is_as_lua) {
        cancel_all(m);
        ml_cancellation_raise(L);
    }
    m->interrupt = 0;
    luaL_error(L, "interrupted!");
}

bool moonlet_interrupt(struct moonlet *m, int signal_number)
{
    if (m->interrupt != 0 || m->lua.exit_asked)
        return false;
    /* Another thread may not touch what runs: it leaves all to the hub's next poll. A task that is
     * just ending has no Lua thread any more. */
    bool is_own_thread = ml_bank_current == &m->lua.hub.bank;
    struct ml_task *current = is_own_thread ? m->lua.hub.current : NULL;
    bool is_running = current != NULL && ml_lua_task_of(current)->L != NULL;
    lua_State *L = is_running ? ml_thread_of(current->strand) : NULL;
    m->interrupt = signal_number;
    if (L != NULL)
        lua_sethook(L, on_event, EVENTS, 1);
    ml_hub_notify(&m->lua.hub);
    return true;
}

void ml_interrupt_noticed(struct ml_hub *hub)
{
    struct moonlet *m = ml_moonlet_of(hub->owner);
    if (m->interrupt != 0)
        cancel_all(m);
}
