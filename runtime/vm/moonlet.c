/* The public functions that create, run and close a runtime. */
#include "moonlet.h"

#include "base/error.h"
#include "bindings/core/libc_call.h"
#include "bindings/core/lua_memory.h"
#include "bindings/core/lua_open.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/task_body.h"
#include "coro/overflow.h"
#include "hub/loop/host_loop.h"
#include "hub/loop/open.h"
#include "hub/loop/run.h"
#include "hub/loop/simulation.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"
#include "interpose/preloaded.h"
#include "interpose/prompt.h"
#include "interpose/shells.h"
#include "io/open.h"
#include "vm/host_tasks.h"
#include "vm/moonlet_state.h"
#include "vm/pointer_channel.h"
#include "vm/promises.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What tasks get to unwind at the end. */
#define UNWIND_TIME (5 * ML_SECOND)

const char *moonlet_version(void)
{
    return "moonlet " MOONLET_VERSION;
}

const char *moonlet_lua_version(void)
{
    return LUA_COPYRIGHT;
}

static void report(struct ml_lua *lua, const char *text)
{
    const struct moonlet_options *options = &ml_moonlet_of(lua)->options;
    if (options->report != NULL) {
        options->report(options->report_context, text);
        return;
    }
    ml_prompt_make_way(lua->libc_calls, STDERR_FILENO, "\n", 1);
    fprintf(stderr, "%s: %s\n", options->name, text);
    fflush(stderr);
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
    ml_interrupt_noticed(hub);
}

/*
 * A clock of the host's stands still between two steps. Tasks that unwind do not depend on it: a
 * game that is paused can be closed.
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
    ml_io_init(&m->lua.io, &m->lua.hub);
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
    m->lua.report.tell = report;
    m->lua.hub.hooks.noticed = noticed;
    m->lua.standard.text_only = (m->options.without & MOONLET_BYTECODE) != 0;
    ml_hub_find_cxx(&m->lua.hub, NULL);
    ml_interrupts_open(&m->lua);
    if (m->options.clock != NULL)
        use_host_clock(m);
    if (m->options.report_overflow)
        ml_overflow_watch(&m->lua.hub.bank, ml_overflow_tell);
    return open_state(m);
}

static bool are_possible(const struct moonlet_options *options)
{
    bool has_stacks = options->stacks <= ML_BANK_STACKS &&
                      (options->stack_size == 0 || options->stack_size >= MOONLET_LEAST_STACK);
    return has_stacks && (options->without & ~(unsigned)MOONLET_UNTRUSTED) == 0;
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

/* ---- arguments ---- */

struct arguments {
    int count;
    char **values;
    int script;
};

static int set_arg(lua_State *L)
{
    const struct arguments *arguments = lua_touserdata(L, 1);
    lua_createtable(L, arguments->count, arguments->script + 1);
    for (int i = 0; i < arguments->count; i++) {
        lua_pushstring(L, arguments->values[i]);
        lua_rawseti(L, -2, i - arguments->script);
    }
    lua_setglobal(L, "arg");
    return 0;
}

int moonlet_set_arguments(struct moonlet *m, int argc, char **argv, int script)
{
    int error = ml_runtime_check(m);
    if (error != 0)
        return error;
    struct arguments arguments = {argc, argv, script};
    lua_State *L = m->lua.main;
    lua_pushcfunction(L, set_arg);
    lua_pushlightuserdata(L, &arguments);
    int status = lua_pcall(L, 1, 0, 0);
    lua_settop(L, 0);
    return status == LUA_OK ? 0 : -ENOMEM;
}

/* ---- running ---- */

static int spawn_main(lua_State *L)
{
    static const struct ml_lua_spawn options = {.name = "main", .name_index = 1};
    struct ml_lua *lua = ml_lua_of(L);
    lua_pushliteral(L, "main");
    lua_pushcfunction(L, ml_program_main);
    if (ml_lua_spawn(L, &options, 1) != 0)
        return luaL_error(L, "not enough memory");
    lua->tasks.main = lua_touserdata(L, -1);
    return 0;
}

static int start_main(struct moonlet *m)
{
    lua_State *L = m->lua.aside;
    lua_pushcfunction(L, spawn_main);
    int status = lua_pcall(L, 0, 0, 0);
    lua_settop(L, 0);
    return status == LUA_OK ? 0 : -ENOMEM;
}

void ml_tell_overrun(struct moonlet *m, struct ml_task *task)
{
    char text[ML_TASK_TEXT];
    size_t length = ml_task_text(text, m, task);
    snprintf(text + length, sizeof text - length, "did not end within %d s of its cancellation",
             (int)(UNWIND_TIME / ML_SECOND));
    m->lua.report.tell(&m->lua, text);
    m->lua.report.was_told = true;
}

/* Drops what did not end in time; its variables are never closed, so it is told. In a forked child
 * what is left is the parent's. A task that was told already is on its way to its end. */
static void drop_all(struct moonlet *m)
{
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(&m->lua.hub, &slot)) != NULL;) {
        if (!m->lua.hub.life.is_forked && ml_lua_task_of(task)->run != ML_RUN_OVERRUN)
            ml_tell_overrun(m, task);
        ml_lua_task_drop(ml_lua_task_of(task));
    }
}

/* Warns of the daemons that still wait when the program has ended. */
static void warn_of_parked(struct moonlet *m)
{
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(&m->lua.hub, &slot)) != NULL;) {
        if (task->state != ML_TASK_WAITING)
            continue;
        char text[ML_TASK_TEXT];
        size_t length = ml_task_text(text, m, task);
        snprintf(text + length, sizeof text - length,
                 "still waited for %s at the end of the program", task->waits_for->text);
        lua_warning(m->lua.aside, text, 0);
    }
}

/* Cancels every task that is left and waits for them to unwind. */
static void unwind_all(struct moonlet *m)
{
    struct ml_hub *hub = &m->lua.hub;
    struct ml_task *task;
    m->lua.is_unwinding = true;
    m->clock_lead = ml_hub_now(hub) - ml_clock_now();
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;)
        ml_task_cancel(task);
    ml_time deadline = ml_time_after(ml_hub_now(hub), UNWIND_TIME);
    ml_unwinding_begin(m, ml_clock_now() + UNWIND_TIME);
    int result;
    do
        result = ml_hub_run(hub, ML_UNTIL_ALL_ENDED, deadline);
    while (result == -EINTR);
    ml_unwinding_end(m);
    m->lua.is_closing = result != 0; /* what is dropped spawns nothing more */
    if (result != 0)
        drop_all(m);
    m->lua.is_closing = false;
}

static int status_of(const struct moonlet *m, int result)
{
    if (m->lua.exit.is_asked)
        return m->lua.exit.status;
    if (result == -EDEADLK)
        return MOONLET_DEADLOCK;
    return m->main_failed || m->lua.report.was_told ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void forget_last_run(struct moonlet *m)
{
    m->main_failed = m->lua.report.was_told = m->lua.is_unwinding = false;
    m->lua.exit.is_asked = false;
    m->lua.exit.status = 0;
    m->interrupt = 0;
}

/* An entry of a session that nothing can ever wake is cut short, and the session goes on. */
static int run_past_deadlocks(struct moonlet *m)
{
    int result;
    bool goes_on = true;
    while (goes_on) {
        result = ml_hub_run(&m->lua.hub, ML_UNTIL_FOREGROUND_ENDED, ML_FOREVER);
        goes_on = result == -EDEADLK && m->lua.session->phase == ML_SESSION_ENTRY &&
                  !m->lua.session->is_interrupted;
        if (goes_on) {
            ml_deadlock_report(m);
            ml_session_interrupt(m->lua.session);
        }
    }
    return result;
}

static int run_to_the_end(struct moonlet *m)
{
    int result = run_past_deadlocks(m);
    if (result != 0 || m->lua.exit.is_asked || !m->lua.greenlets.are_used)
        return result;
    /* Suspended greenlets that nobody can switch to any more get to close their variables. */
    lua_gc(m->lua.aside, LUA_GCCOLLECT);
    return ml_hub_run(&m->lua.hub, ML_UNTIL_FOREGROUND_ENDED, ML_FOREVER);
}

int moonlet_run(struct moonlet *m)
{
    int error = ml_runtime_check_idle(m);
    if (error != 0)
        return error;
    if (m->lua.tasks.main == NULL) { /* else it was begun by moonlet_start() */
        forget_last_run(m);
        if (start_main(m) != 0) {
            m->lua.report.tell(&m->lua, "not enough memory");
            return EXIT_FAILURE;
        }
    }
    m->is_running = true;
    int result = run_to_the_end(m);
    if (result == -EDEADLK)
        ml_deadlock_report(m);
    else if (!m->lua.exit.is_asked && !m->lua.hub.life.is_forked)
        warn_of_parked(m);
    unwind_all(m);
    m->lua.tasks.main = NULL;
    m->lua.is_unwinding = false; /* what is spawned from now on is the next run's */
    m->is_running = false;
    return status_of(m, result);
}

/* ---- in the host's own loop ---- */

int moonlet_start(struct moonlet *m)
{
    int error = ml_runtime_check_idle(m);
    if (error == 0 && m->lua.tasks.main != NULL)
        error = -ML_ERUNNING;
    if (error != 0 || m->pieces == NULL)
        return error;
    forget_last_run(m);
    error = start_main(m);
    ml_hub_refresh(&m->lua.hub);
    return error;
}

static ml_time span_of(double limit)
{
    return limit >= 0 ? ml_time_from_seconds(limit) : ML_FOREVER;
}

static int step(struct moonlet *m, ml_time max_wait, ml_time max_run)
{
    struct ml_hub *hub = &m->lua.hub;
    m->is_running = true;
    ml_host_clock_look(hub);
    int result = ml_hub_step(hub, max_wait, max_run);
    m->is_running = false;
    return result == -EINTR ? 1 : result;
}

int moonlet_step(struct moonlet *m, double max_wait, double max_run)
{
    int error = ml_runtime_check_idle(m);
    return error != 0 ? error : step(m, span_of(max_wait), span_of(max_run));
}

/* It may not close the runtime, say. */
static bool is_done(struct moonlet *m, bool (*done)(void *context), void *context)
{
    m->is_running = true;
    bool result = done(context);
    m->is_running = false;
    return result;
}

int moonlet_run_until(struct moonlet *m, bool (*done)(void *context), void *context, double limit)
{
    int result = done != NULL ? ml_runtime_check_idle(m) : -EINVAL;
    ml_time deadline = ml_time_after(ml_clock_now(), span_of(limit));
    while (result >= 0 && !is_done(m, done, context)) {
        ml_time left = deadline == ML_FOREVER ? ML_FOREVER : deadline - ml_clock_now();
        if (left <= 0)
            return -ETIMEDOUT;
        result = step(m, left, left);
        if (result == 0)
            return is_done(m, done, context);
    }
    return result < 0 ? result : 1;
}

int moonlet_fd(struct moonlet *m)
{
    int error = ml_runtime_check(m);
    if (error == 0 && m->lua.hub.life.is_forked)
        error = -ECHILD;
    if (error != 0)
        return error;
    int fd = ml_hub_descriptor(&m->lua.hub);
    return fd >= 0 ? fd : -errno;
}

static void on_readable(void *data)
{
    struct moonlet *m = data;
    if (ml_runtime_check_idle(m) == 0)
        step(m, 0, m->attached_run);
}

int moonlet_attach(struct moonlet *m, void *loop, double max_run)
{
    int error = ml_runtime_check(m);
    if (error != 0)
        return error;
    ml_host_loop_detach(m->host_loop);
    m->host_loop = NULL;
    if (loop == NULL)
        return 0;
    int fd = moonlet_fd(m);
    m->attached_run = span_of(max_run);
    m->host_loop = fd >= 0 ? ml_host_loop_attach(loop, fd, on_readable, m) : NULL;
    return fd < 0 ? fd : m->host_loop != NULL ? 0 : -ENOMEM;
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
    return error == 0 ? status_of(m, 0) : error;
}

bool moonlet_is_in_shell(const struct moonlet *m)
{
    if (!ml_runtime_is_open(m) || ml_list_is_empty(&m->lua.libc_calls->shells))
        return false;
    const struct ml_session *session = m->lua.session;
    bool is_entry = session->is_open && session->phase == ML_SESSION_ENTRY;
    return m->lua.hub.tasks.alive == 1 || (is_entry && ml_shells_has(m->lua.libc_calls, session->task));
}

int moonlet_close(struct moonlet *m)
{
    int error = m != NULL ? ml_runtime_check_closable(m) : 0;
    if (m == NULL || error != 0)
        return error;
    m->is_running = true;
    ml_host_loop_detach(m->host_loop);
    if (m->lua.main != NULL)
        unwind_all(m);
    ml_promises_detach(m);
    ml_host_tasks_detach(m);
    ml_channels_detach(m);
    ml_runtimes_remove(m);
    if (m->lua.main != NULL) {
        m->lua.is_closing = true;
        lua_close(m->lua.main);
    }
    ml_lua_release(&m->lua);
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
