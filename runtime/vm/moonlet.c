/* The public functions that create and close a runtime, and give information about it. */
#include "moonlet.h"

#include "base/error.h"
#include "bindings/core/libc_call.h"
#include "bindings/core/lua_memory.h"
#include "bindings/core/lua_open.h"
#include "bindings/core/lua_worker.h"
#include "bindings/inspect/accounts.h"
#include "bindings/inspect/profile.h"
#include "bindings/worker/worker.h"
#include "coro/overflow.h"
#include "hub/loop/host_loop.h"
#include "hub/loop/life.h"
#include "hub/loop/run.h"
#include "hub/loop/simulation.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"
#include "interpose/libc_calls.h"
#include "interpose/preloaded.h"
#include "interpose/prompt.h"
#include "interpose/shells.h"
#include "io/life.h"
#include "system/signal/inbox.h"
#include "vm/api_thread_channel.h"
#include "vm/dump.h"
#include "vm/dump_alarm.h"
#include "vm/host_task.h"
#include "vm/inspector.h"
#include "vm/interrupt.h"
#include "vm/main_task.h"
#include "vm/moonlet_state.h"
#include "vm/overrun_report.h"
#include "vm/pointer_channel.h"
#include "vm/poke.h"
#include "vm/preempt.h"
#include "vm/program.h"
#include "vm/promise.h"
#include "vm/runtimes.h"
#include "vm/slow.h"
#include "vm/state.h"
#include "vm/terminal_report.h"
#include "vm/threads.h"
#include "vm/unwinding.h"
#include "vm/watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *moonlet_version(void)
{
    return "moonlet " MOONLET_VERSION;
}

const char *moonlet_lua_version(void)
{
    return LUA_COPYRIGHT;
}

static int open_state(struct moonlet *m)
{
    if (ml_lua_memory_init(&m->lua, &m->memory) != 0)
        return -ENOMEM;
    m->lua.memory.limit = m->options.memory_limit;
    lua_Alloc realloc_block = m->lua.memory.limit > 0 ? ml_lua_realloc_limited : ml_lua_realloc;
    lua_State *L = lua_newstate(realloc_block, &m->lua);
    if (L == NULL)
        return -ENOMEM;
    m->lua.main = L;
    ml_warnings_open(L, &m->lua, &m->warnings);
    if (m->options.warn != NULL)
        lua_setwarnf(L, m->options.warn, m->options.warn_context);
    lua_gc(L, LUA_GCSTOP);
    lua_pushcfunction(L, ml_state_open);
    lua_pushlightuserdata(L, m);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        return -ENOMEM;
    lua_gc(L, LUA_GCRESTART);
    return 0;
}

static void noticed(struct ml_hub *hub)
{
    struct moonlet *m = hub->owner == NULL ? NULL : ml_moonlet_of(hub->owner);
    if (m == NULL)
        return;
    ml_promises_deliver(m);
    ml_threads_notice(m);
    ml_signal_inbox_empty(m->lua.signals);
    ml_dump_noticed(hub);
    ml_interrupt_noticed(hub);
}

/*
 * A host's clock stands still between two steps. Tasks that unwind do not depend on it: a game that
 * is paused can be closed.
 */
static ml_time read_host_clock(struct ml_hub *hub)
{
    struct moonlet *m = ml_moonlet_of(hub->owner);
    double shown = m->lua.is_unwinding ? 0 : m->options.clock(m->options.clock_context);
    return m->lua.is_unwinding ? ml_time_after(ml_clock_now(), m->clock_lead)
                               : ml_time_after(ml_time_from_seconds(shown), 1);
}

static void use_host_clock(struct moonlet *m)
{
    struct ml_hub *hub = &m->lua.hub;
    hub->owner = &m->lua;
    ml_host_clock_set(hub, read_host_clock);
}

static int open_runtime(struct moonlet *m)
{
    bool has_own_frames = m->options.allocator != NULL;
    ml_pool_init(&m->memory);
    ml_pool_init(&m->frames);
    ml_pool_set_allocator(&m->memory, m->options.allocator, m->options.allocator_context);
    m->lua.session = &m->session;
    ml_list_init(&m->promises);
    ml_list_init(&m->handles);
    ml_list_init(&m->channels);
    ml_list_init(&m->ports);
    ml_io_init(&m->lua.io, &m->lua.hub);
    ml_children_init(&m->lua.children, &m->lua.hub);
    int error = ml_hub_init(&m->lua.hub, has_own_frames ? &m->frames : &m->memory,
                            m->options.stacks, m->options.stack_size);
    if (error != 0)
        return error;
    ml_preloaded_introduce();
    m->lua.libc_calls = ml_libc_calls_open(&m->lua.hub);
    if (m->lua.libc_calls == NULL)
        return -ENOMEM;
    ml_libc_calls_connect(&m->lua, m->lua.libc_calls);
    if (!m->options.no_interpose)
        m->lua.hub.libc_calls = m->lua.libc_calls;
    m->lua.report.tell = ml_report_to_terminal;
    m->lua.os_threads.runtimes = &ml_thread_runtimes;
    m->lua.inspect.inspectors = &ml_inspectors;
    m->lua.hub.hooks.noticed = noticed;
    m->lua.standard.text_only = (m->options.without & MOONLET_BYTECODE) != 0;
    ml_hub_find_cxx(&m->lua.hub, NULL);
    ml_interrupts_open(&m->lua);
    ml_dumps_open(&m->lua);
    if (m->options.clock != NULL)
        use_host_clock(m);
    if (m->options.report_overflow)
        ml_overflow_watch(&m->lua.hub.bank, ml_overflow_tell);
    error = open_state(m);
    if (error == 0)
        error = ml_lua_worker_open(&m->lua);
    ml_worker_measure(&m->lua);
    return error == 0 ? ml_preempt_open(m) : error;
}

static bool are_possible(const struct moonlet_options *options)
{
    bool has_stacks = options->stacks <= ML_BANK_STACKS &&
                      (options->stack_size == 0 || options->stack_size >= MOONLET_LEAST_STACK);
    return has_stacks && ml_preempt_is_possible(options) &&
           (options->without & ~(unsigned)MOONLET_UNTRUSTED) == 0;
}

struct moonlet *moonlet_create(const struct moonlet_options *options)
{
    if (options != NULL && !are_possible(options)) {
        errno = EINVAL;
        return NULL;
    }
    struct moonlet *m = calloc(1, sizeof *m);
    if (m == NULL || ml_runtimes_add(m) != 0) {
        free(m);
        errno = ENOMEM;
        return NULL;
    }
    if (options != NULL)
        m->options = *options;
    if (m->options.name == NULL)
        m->options.name = "moonlet";
    int error = open_runtime(m);
    if (error == 0)
        return m;
    moonlet_close(m);
    errno = -error;
    return NULL;
}

lua_State *moonlet_lua(struct moonlet *m)
{
    return ml_runtime_check(m) == 0 ? m->lua.main : NULL;
}

struct moonlet *moonlet_of(lua_State *L)
{
    return L != NULL ? ml_moonlet_of(ml_lua_of(L)) : NULL;
}

bool moonlet_exit_asked(const struct moonlet *m)
{
    return ml_runtime_is_open(m) && m->lua.exit.is_asked;
}

int moonlet_exit_status(const struct moonlet *m)
{
    int error = ml_runtime_check(m);
    return error == 0 ? ml_program_status(m, 0) : error;
}

bool moonlet_is_in_shell(const struct moonlet *m)
{
    if (!ml_runtime_is_open(m) || ml_list_is_empty(&m->lua.libc_calls->shells))
        return false;
    const struct ml_session *session = m->lua.session;
    bool is_entry = session->is_open && session->phase == ML_SESSION_ENTRY;
    return m->lua.hub.tasks.alive == 1 ||
           (is_entry && ml_shells_has(m->lua.libc_calls, session->task));
}

int moonlet_close(struct moonlet *m)
{
    int error = m != NULL ? ml_runtime_check_closable(m) : 0;
    if (m == NULL || error != 0)
        return error;
    m->is_running = true;
    ml_host_loop_detach(m->host_loop);
    if (m->lua.main != NULL) {
        ml_lua_worker_say_last(&m->lua);
        ml_unwind_all(m);
    }
    ml_inspector_end(m);
    ml_threads_end(m);
    ml_slow_close(m);
    ml_watch_end(m);
    ml_dump_alarm_end(m);
    ml_poke_close(m);
    ml_profile_discard(&m->lua);
    ml_promises_detach(m);
    ml_host_tasks_detach(m);
    ml_channels_detach(m);
    ml_host_ports_close(m);
    ml_runtimes_remove(m);
    if (m->lua.main != NULL) {
        m->lua.is_closing = true;
        lua_close(m->lua.main);
    }
    ml_lua_worker_close(&m->lua);
    ml_accounts_release(&m->lua);
    ml_signal_inbox_close(m->lua.signals);
    ml_lua_release(&m->lua);
    ml_children_release(&m->lua.children);
    ml_libc_calls_close(m->lua.libc_calls);
    ml_io_release(&m->lua.io);
    ml_overflow_unwatch(&m->lua.hub.bank);
    ml_hub_release(&m->lua.hub);
    ml_program_free(m);
    ml_pool_release(&m->frames);
    ml_pool_release(&m->memory);
    free(m);
    return 0;
}
