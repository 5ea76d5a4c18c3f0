/* The public functions that run a program to its end, and the task of its main chunk. */
#include "vm/main_task.h"

#include "bindings/core/lua_spawn.h"
#include "bindings/thread/runtimes.h"
#include "hub/loop/run.h"
#include "moonlet.h"
#include "vm/deadlock.h"
#include "vm/moonlet_state.h"
#include "vm/program.h"
#include "vm/runtimes.h"
#include "vm/unwinding.h"

#include <errno.h>
#include <stdlib.h>

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
    lua_pushcfunction(L, lua->os_threads.call != NULL ? ml_thread_main : ml_program_main);
    if (ml_lua_spawn(L, &options, 1) != 0)
        return luaL_error(L, "not enough memory");
    lua->tasks.main = lua_touserdata(L, -1);
    return 0;
}

static int start(struct moonlet *m)
{
    lua_State *L = m->lua.aside;
    lua_pushcfunction(L, spawn_main);
    int status = lua_pcall(L, 0, 0, 0);
    lua_settop(L, 0);
    return status == LUA_OK ? 0 : -ENOMEM;
}

int ml_program_status(const struct moonlet *m, int result)
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

int ml_program_start(struct moonlet *m)
{
    forget_last_run(m);
    return start(m);
}

/* Cancels an entry of a session that no event can ever wake; the session goes on. */
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
    /* Suspended greenlets that are out of reach get to close their variables. */
    lua_gc(m->lua.aside, LUA_GCCOLLECT);
    return ml_hub_run(&m->lua.hub, ML_UNTIL_FOREGROUND_ENDED, ML_FOREVER);
}

int moonlet_run(struct moonlet *m)
{
    int error = ml_runtime_check_idle(m);
    if (error != 0)
        return error;
    if (m->lua.tasks.main == NULL) { /* else it was begun by moonlet_start() */
        if (ml_program_start(m) != 0) {
            m->lua.report.tell(&m->lua, "not enough memory");
            return EXIT_FAILURE;
        }
    }
    m->is_running = true;
    int result = run_to_the_end(m);
    if (result == -EDEADLK)
        ml_deadlock_report(m);
    else if (!m->lua.exit.is_asked && !m->lua.hub.life.is_forked)
        ml_warn_of_parked(m);
    ml_unwind_all(m);
    m->lua.tasks.main = NULL;
    m->lua.is_unwinding = false; /* tasks spawned from now on belong to the next run */
    m->is_running = false;
    return ml_program_status(m, result);
}
