/* The public functions that create, run and close a runtime. */
#include "moonlet.h"

#include "bindings/foreign.h"
#include "bindings/lua_task.h"
#include "coro/overflow.h"
#include "hub/scope.h"
#include "interpose/attach.h"
#include "vm/moonlet_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
    fprintf(stderr, "%s: %s\n", options->name, text);
    fflush(stderr);
}

static int open_state(struct moonlet *m)
{
    if (ml_lua_memory_init(&m->lua, &m->memory) != 0)
        return -ENOMEM;
    lua_State *L = lua_newstate(ml_lua_realloc, &m->lua);
    if (L == NULL)
        return -ENOMEM;
    m->lua.main = L;
    ml_warnings_open(L, &m->warnings);
    lua_gc(L, LUA_GCSTOP);
    lua_pushcfunction(L, ml_state_open);
    lua_pushlightuserdata(L, m);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        return -ENOMEM;
    lua_gc(L, LUA_GCRESTART);
    return 0;
}

static int open_runtime(struct moonlet *m)
{
    ml_pool_init(&m->memory);
    ml_io_init(&m->lua.io, &m->lua.hub);
    int error = ml_hub_init(&m->lua.hub, &m->memory, m->options.stacks, m->options.stack_size);
    if (error != 0)
        return error;
    ml_interpose_attach();
    m->lua.foreign = ml_foreign_open(&m->lua.hub);
    if (m->lua.foreign == NULL)
        return -ENOMEM;
    ml_foreign_connect(m->lua.foreign);
    if (!m->options.no_interpose)
        m->lua.hub.foreign = m->lua.foreign;
    m->lua.report = report;
    m->lua.hub.noticed = ml_interrupt_noticed;
    if (m->options.report_overflow)
        ml_overflow_watch(&m->lua.hub.bank, ml_overflow_tell);
    return open_state(m);
}

struct moonlet *moonlet_create(const struct moonlet_options *options)
{
    struct moonlet *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
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
    lua->main_task = lua_touserdata(L, -1);
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

/* Drops what did not end in time; its variables are never closed, so it is told. */
static void drop_all(struct moonlet *m)
{
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(&m->lua.hub, &slot)) != NULL;) {
        char text[256];
        if (m->lua.hub.is_forked) { /* they are the parent's */
            ml_lua_task_drop(ml_lua_task_of(task));
            continue;
        }
        snprintf(text, sizeof text,
                 "task #%llu, spawned at %s, did not end within %d s of its cancellation",
                 (unsigned long long)task->id,
                 ml_place_text(&m->lua.places, ml_lua_task_of(task)->place),
                 (int)(UNWIND_TIME / ML_SECOND));
        m->lua.report(&m->lua, text);
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
        char text[256];
        snprintf(text, sizeof text,
                 "task #%llu, spawned at %s, still waited for %s at the end of the program",
                 (unsigned long long)task->id,
                 ml_place_text(&m->lua.places, ml_lua_task_of(task)->place), task->waits_for->text);
        lua_warning(m->lua.aside, text, 0);
    }
}

/* Cancels every task that is left and waits for them to unwind. */
static void unwind_all(struct moonlet *m)
{
    struct ml_hub *hub = &m->lua.hub;
    struct ml_task *task;
    m->lua.is_unwinding = true;
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;)
        ml_task_cancel(task);
    ml_time deadline = ml_hub_now(hub) + UNWIND_TIME;
    int result;
    do
        result = ml_hub_run(hub, ML_UNTIL_ALL_ENDED, deadline);
    while (result == -EINTR);
    if (result != 0)
        drop_all(m);
}

static int status_of(const struct moonlet *m, int result)
{
    if (m->lua.exit_asked)
        return m->lua.exit_status;
    if (result == -EDEADLK)
        return MOONLET_DEADLOCK;
    return m->main_failed || m->lua.has_reported ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void forget_last_run(struct moonlet *m)
{
    m->main_failed = m->lua.has_reported = m->lua.exit_asked = m->lua.is_unwinding = false;
    m->lua.exit_status = 0;
    m->interrupt = 0;
}

static int run_to_the_end(struct moonlet *m)
{
    int result = ml_hub_run(&m->lua.hub, ML_UNTIL_FOREGROUND_ENDED, ML_FOREVER);
    if (result != 0 || m->lua.exit_asked || !m->lua.uses_greenlets)
        return result;
    /* Suspended greenlets that nobody can switch to any more get to close their variables. */
    lua_gc(m->lua.aside, LUA_GCCOLLECT);
    return ml_hub_run(&m->lua.hub, ML_UNTIL_FOREGROUND_ENDED, ML_FOREVER);
}

int moonlet_run(struct moonlet *m)
{
    forget_last_run(m);
    if (start_main(m) != 0) {
        m->lua.report(&m->lua, "not enough memory");
        return EXIT_FAILURE;
    }
    int result = run_to_the_end(m);
    if (result == -EDEADLK)
        ml_deadlock_report(m);
    else if (!m->lua.exit_asked && !m->lua.hub.is_forked)
        warn_of_parked(m);
    unwind_all(m);
    m->lua.main_task = NULL;
    return status_of(m, result);
}

bool moonlet_exit_asked(const struct moonlet *m)
{
    return m->lua.exit_asked;
}

void moonlet_close(struct moonlet *m)
{
    if (m == NULL)
        return;
    if (m->lua.main != NULL) {
        unwind_all(m);
        m->lua.is_closing = true;
        lua_close(m->lua.main);
    }
    ml_lua_release(&m->lua);
    ml_foreign_close(m->lua.foreign);
    ml_io_release(&m->lua.io);
    ml_overflow_unwatch(&m->lua.hub.bank);
    ml_hub_release(&m->lua.hub);
    ml_program_free(m);
    ml_pool_release(&m->memory);
    free(m);
}
