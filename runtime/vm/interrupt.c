/*
 * Ctrl-C and SIGTERM: every task is cancelled, clean-up runs, the program ends. Code that computes
 * is left alone until it waits, since it may be in the middle of something. Only when it does not
 * wait for a while is the cancellation raised where it stands. A program whose only task computes
 * is interrupted as by lua5.4: its code gets the error "interrupted!", which it may catch.
 *
 * In an interactive session Ctrl-C is for the entry alone: an entry that computes gets that error,
 * one that waits is cancelled. All other tasks go on.
 */
#include "vm/interrupt.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/task_body.h"
#include "bindings/repl/line_editor.h"
#include "hub/loop/run.h"
#include "hub/state/scope.h"
#include "system/signal/receiver.h"
#include "vm/moonlet_state.h"
#include "vm/overrun_report.h"
#include "vm/running.h"
#include "vm/runtimes.h"

#include <signal.h>
#include <stddef.h>

enum { EVENTS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT };

/* How long code may compute on, and the instructions between two looks. */
#define COMPUTING_TIME ML_SECOND
enum { INSTRUCTIONS_PER_LOOK = 10000 };

/* Arms the hook of the task's code for that reason. */
static void watch(struct moonlet *m, struct ml_task *task, enum ml_hook_reason reason)
{
    ml_hooks_share(&m->lua, reason);
    ml_chain_touch(task, reason);
}

static void cancel_all(struct moonlet *m)
{
    struct ml_hub *hub = &m->lua.hub;
    struct ml_task *task;
    if (!m->lua.exit.is_asked)
        m->lua.exit.status = 128 + (int)m->interrupt;
    m->lua.exit.is_asked = true;
    m->interrupt = 0;
    m->interrupted_at = ml_clock_now();
    ml_hooks_unshare(&m->lua, ML_HOOK_INTERRUPT);
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;) {
        ml_chain_refresh(task);
        ml_task_cancel(task);
    }
    if (m->worker == NULL)
        return;
    m->unwound_at = m->interrupted_at + ML_UNWIND_TIME;
    ml_hub_stop(hub);
}

/* Cancels code that still computes a while after everything was cancelled. Inside a shield it may.
 */
static void on_look(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    const struct ml_task *current = m->lua.hub.current;
    ml_time now = ml_clock_now();
    if (current == NULL || !current->cancelled || now < m->interrupted_at + COMPUTING_TIME)
        return;
    if (m->worker != NULL && now >= m->unwound_at && !m->lua.report.is_composed) {
        ml_tell_overrun(m, m->lua.hub.current);
        ml_lua_task_restart(&m->lua, ML_RUN_OVERRUN);
    }
    m->interrupted_at = now;
    ml_cancellation_raise(L);
}

/* Whether a signal is for the session alone. */
static bool is_for_session(const struct moonlet *m, int signal_number)
{
    return signal_number == SIGINT && m->lua.session->is_open;
}

/* Whether the session's entry computes, and not its wait for a line. */
static bool is_entry(const struct moonlet *m, const struct ml_task *task)
{
    const struct ml_session *session = m->lua.session;
    return task == session->task && session->phase == ML_SESSION_ENTRY;
}

/* Raises lua5.4's error in the running code. */
static void raise_interrupted(struct moonlet *m, lua_State *L)
{
    m->interrupt = 0;
    m->lua.session->is_interrupted = true;
    luaL_error(L, "interrupted!");
}

/* Called at the first instruction of the running code after the signal. */
static void on_event(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    struct ml_task *current = m->lua.hub.current;
    bool is_as_lua = m->interrupt == SIGINT && m->lua.hub.tasks.alive == 1;
    ml_hooks_unshare(&m->lua, ML_HOOK_INTERRUPT);
    ml_hooks_refresh(L);
    if (current != NULL)
        ml_chain_refresh(current);
    if (m->interrupt == 0 || current == NULL)
        return;
    bool is_for_entry = is_for_session(m, m->interrupt);
    if (is_for_entry && !is_entry(m, current))
        return;
    if (is_as_lua || is_for_entry)
        raise_interrupted(m, L);
    cancel_all(m);
    watch(m, current, ML_HOOK_COMPUTING);
    if (m->worker != NULL && current->cancelled)
        ml_cancellation_raise(L);
}

void ml_interrupt_arrived(void)
{
    if (ml_bank_current == NULL)
        return;
    struct ml_hub *hub = ml_container_of(ml_bank_current, struct ml_hub, bank);
    struct moonlet *m = hub->owner != NULL ? ml_moonlet_of(hub->owner) : NULL;
    struct ml_task *task = m != NULL && m->interrupt != 0 ? ml_running_task(hub) : NULL;
    if (task != NULL)
        watch(m, task, ML_HOOK_INTERRUPT);
}

bool moonlet_interrupt(struct moonlet *m, int signal_number)
{
    if (!ml_runtime_is_open(m))
        return false;
    bool is_for_entry = is_for_session(m, signal_number);
    if (m->interrupt != 0 || m->lua.exit.is_asked ||
        (is_for_entry && !ml_session_takes_interrupt(m->lua.session))) {
        ml_line_editor_restore();
        return false;
    }
    m->interrupt = signal_number;
    ml_hub_notify(&m->lua.hub);
    /* Another thread may not touch the running task: it leaves all to the hub. */
    bool is_own_thread = ml_bank_current == &m->lua.hub.bank;
    struct ml_task *task = is_own_thread ? ml_running_task(&m->lua.hub) : NULL;
    if (task != NULL && (!is_for_entry || is_entry(m, task)))
        watch(m, task, ML_HOOK_INTERRUPT);
    return true;
}

bool moonlet_is_signal_open(int signal_number)
{
    return ml_signal_is_taken(signal_number);
}

bool moonlet_is_interactive(const struct moonlet *m)
{
    return ml_runtime_is_open(m) && m->lua.session->is_open;
}

/* An entry that computes gets the error at its next instruction; a wait is cancelled. */
static void interrupt_session(struct moonlet *m, struct ml_task *task)
{
    if (task != NULL && is_entry(m, task)) {
        watch(m, task, ML_HOOK_INTERRUPT);
        ml_hub_notify(&m->lua.hub);
        return;
    }
    m->interrupt = 0;
    ml_session_interrupt(m->lua.session);
}

/* If a task runs Lua code, a hook delivers the interrupt at its next instruction. If the task
 * blocks first, control comes back here. */
void ml_interrupt_noticed(struct ml_hub *hub)
{
    struct moonlet *m = ml_moonlet_of(hub->owner);
    ml_line_editor_notice(&m->lua);
    if (m->interrupt == 0)
        return;
    struct ml_task *task = ml_running_task(hub);
    if (is_for_session(m, m->interrupt)) {
        interrupt_session(m, task);
    } else if (task == NULL) {
        cancel_all(m);
    } else {
        watch(m, task, ML_HOOK_INTERRUPT);
        ml_hub_notify(hub);
    }
}

/* ---- the end of the program ---- */

/* Drops code that still computes when the time to unwind is over. A function called at the end of a
 * task runs on a state of the runtime's, which must not be abandoned: it gets an error. */
static void on_unwinding(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    if (m->lua.hub.current == NULL || ml_clock_now() < m->unwound_at)
        return;
    if (m->lua.report.is_composed)
        ml_cancellation_raise(L);
    ml_tell_overrun(m, m->lua.hub.current);
    ml_lua_task_restart(&m->lua, ML_RUN_OVERRUN);
}

/* There is no state aside if the runtime could not be opened. */
static void refresh_aside(struct moonlet *m)
{
    if (m->lua.aside != NULL)
        ml_hooks_refresh(m->lua.aside);
}

void ml_unwinding_begin(struct moonlet *m, ml_time end)
{
    struct ml_task *task;
    m->unwound_at = end;
    ml_hooks_stand(&m->lua, ML_HOOK_UNWINDING);
    for (uint32_t slot = 0; (task = ml_hub_next_task(&m->lua.hub, &slot)) != NULL;)
        ml_chain_refresh(task);
    refresh_aside(m);
}

void ml_unwinding_end(struct moonlet *m)
{
    ml_hooks_withdraw(&m->lua, ML_HOOK_UNWINDING);
    ml_hooks_unshare(&m->lua, ML_HOOK_COMPUTING);
    refresh_aside(m);
}

void ml_interrupts_open(struct ml_lua *lua)
{
    static const struct ml_hook_kind interrupt = {
        .events = EVENTS, .count = 1, .on_event = on_event};
    static const struct ml_hook_kind computing = {
        .events = LUA_MASKCOUNT, .count = INSTRUCTIONS_PER_LOOK, .on_event = on_look};
    static const struct ml_hook_kind unwinding = {
        .events = LUA_MASKCOUNT, .count = INSTRUCTIONS_PER_LOOK, .on_event = on_unwinding};
    ml_hooks_install(lua, ML_HOOK_INTERRUPT, &interrupt);
    ml_hooks_install(lua, ML_HOOK_COMPUTING, &computing);
    ml_hooks_install(lua, ML_HOOK_UNWINDING, &unwinding);
}
