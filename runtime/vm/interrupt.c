/*
 * Ctrl-C and SIGTERM: every task is cancelled, clean-up runs, the program ends. Code that computes is left alone
 * until it waits, for it may be in the middle of something; only when it does not wait for a while is the
 * cancellation raised where it stands. A program of one task that computes is interrupted as by lua5.4: its code
 * gets the error "interrupted!", which it may catch.
 *
 * In an interactive session Ctrl-C is for the entry alone: one that computes gets that error, one that waits is
 * cancelled; all other tasks go on.
 */
#include "bindings/cancellation.h"
#include "bindings/line_editor.h"
#include "bindings/lua_task.h"
#include "hub/scope.h"
#include "vm/runtimes.h"

#include <signal.h>
#include <stddef.h>

enum { EVENTS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT };

/* How long code may compute on, and how often that is looked at, in instructions. */
#define COMPUTING_TIME ML_SECOND
enum { INSTRUCTIONS_PER_LOOK = 10000 };

static void on_event(lua_State *L, lua_Debug *event);

/* The task whose code runs or is about to; NULL: none, the hub does. */
static struct ml_task *computing_task(const struct ml_hub *hub)
{
    bool is_handed_off = hub->handoff != NULL && hub->handoff->state == ML_TASK_RUNNING;
    return hub->current == NULL && is_handed_off ? hub->handoff : hub->current;
}

/* On every thread of the chain: a generator may end before its next step. */
static void hook_chain(struct ml_task *task, lua_Hook hook, int events, int count)
{
    for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer)
        lua_sethook(ml_thread_of(strand), hook, events, count);
}

static void unhook_chain(struct ml_task *task)
{
    for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer)
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
    m->interrupted_at = ml_clock_now();
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;) {
        unhook_chain(task);
        ml_task_cancel(task);
    }
}

/* Code that was computing when everything was cancelled computes on. Inside a shield it may. */
static void on_look(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct ml_lua *lua = ml_lua_of(L);
    const struct ml_task *current = lua->hub.current;
    if (current == NULL || !current->cancelled ||
        ml_clock_now() < ml_moonlet_of(lua)->interrupted_at + COMPUTING_TIME)
        return;
    lua_sethook(L, NULL, 0, 0);
    ml_cancellation_raise(L);
}

/* Whether a signal is for the session alone. */
static bool is_for_session(const struct moonlet *m, int signal_number)
{
    return signal_number == SIGINT && m->lua.session.is_open;
}

/* Whether it is the session's entry that computes, not its waiting for a line. */
static bool is_entry(const struct moonlet *m, const struct ml_task *task)
{
    const struct ml_session *session = &m->lua.session;
    return task == session->task && session->phase == ML_SESSION_ENTRY;
}

/* The error of lua5.4, at the running code. */
static void raise_interrupted(struct moonlet *m, lua_State *L)
{
    m->interrupt = 0;
    m->lua.session.is_interrupted = true;
    luaL_error(L, "interrupted!");
}

/* The first step of the running code after the signal. */
static void on_event(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    struct ml_task *current = m->lua.hub.current;
    bool is_as_lua = m->interrupt == SIGINT && m->lua.hub.alive == 1;
    lua_sethook(L, NULL, 0, 0);
    if (current != NULL)
        unhook_chain(current);
    if (m->interrupt == 0 || current == NULL)
        return;
    bool is_for_entry = is_for_session(m, m->interrupt);
    if (is_for_entry && !is_entry(m, current))
        return;
    if (is_as_lua || is_for_entry)
        raise_interrupted(m, L);
    cancel_all(m);
    hook_chain(current, on_look, LUA_MASKCOUNT, INSTRUCTIONS_PER_LOOK);
}

bool moonlet_interrupt(struct moonlet *m, int signal_number)
{
    if (!ml_runtime_is_open(m))
        return false;
    bool is_for_entry = is_for_session(m, signal_number);
    if (m->interrupt != 0 || m->lua.exit_asked ||
        (is_for_entry && !ml_session_takes_interrupt(&m->lua.session))) {
        ml_line_editor_restore();
        return false;
    }
    m->interrupt = signal_number;
    ml_hub_notify(&m->lua.hub);
    /* Another thread may not touch what runs: it leaves all to the hub. */
    bool is_own_thread = ml_bank_current == &m->lua.hub.bank;
    struct ml_task *task = is_own_thread ? computing_task(&m->lua.hub) : NULL;
    if (task != NULL && (!is_for_entry || is_entry(m, task)))
        hook_chain(task, on_event, EVENTS, 1);
    return true;
}

bool moonlet_is_interactive(const struct moonlet *m)
{
    return ml_runtime_is_open(m) && m->lua.session.is_open;
}

/* The entry's code gets the error at its next step if it computes; what waits is cancelled. */
static void interrupt_session(struct moonlet *m, struct ml_task *task)
{
    if (task != NULL && is_entry(m, task)) {
        hook_chain(task, on_event, EVENTS, 1);
        ml_hub_notify(&m->lua.hub);
        return;
    }
    m->interrupt = 0;
    ml_session_interrupt(&m->lua.session);
}

/* If somebody computes, his next step is where it happens; unless he waits before, then here again. */
void ml_interrupt_noticed(struct ml_hub *hub)
{
    struct moonlet *m = ml_moonlet_of(hub->owner);
    ml_line_editor_notice(&m->lua);
    if (m->interrupt == 0)
        return;
    struct ml_task *task = computing_task(hub);
    if (is_for_session(m, m->interrupt)) {
        interrupt_session(m, task);
    } else if (task == NULL) {
        cancel_all(m);
    } else {
        hook_chain(task, on_event, EVENTS, 1);
        ml_hub_notify(hub);
    }
}
