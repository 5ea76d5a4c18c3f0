/* The Lua state of a runtime: libraries, modules, and the last resort for errors. */
#include "vm/state.h"

#include "bindings/core/hooks.h"
#include "bindings/core/lua_open.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/report.h"
#include "bindings/core/task_body.h"
#include "bindings/coroutine/greenlet.h"
#include "bindings/data/crypto.h"
#include "bindings/data/json.h"
#include "bindings/data/url.h"
#include "bindings/db/sqlite.h"
#include "bindings/file/fs.h"
#include "bindings/file/watch.h"
#include "bindings/http/client.h"
#include "bindings/http/files.h"
#include "bindings/http/headers_methods.h"
#include "bindings/http/multipart.h"
#include "bindings/http/server.h"
#include "bindings/http/types.h"
#include "bindings/http/websocket.h"
#include "bindings/inspect/agent.h"
#include "bindings/inspect/debugger.h"
#include "bindings/inspect/inspector.h"
#include "bindings/inspect/metrics.h"
#include "bindings/inspect/profile_module.h"
#include "bindings/inspect/tasks.h"
#include "bindings/inspect/trace.h"
#include "bindings/lib/patch.h"
#include "bindings/lib/standard.h"
#include "bindings/lib/test.h"
#include "bindings/net/net.h"
#include "bindings/postgres/postgres.h"
#include "bindings/process/process.h"
#include "bindings/process/terminal.h"
#include "bindings/repl/line_editor.h"
#include "bindings/repl/session.h"
#include "bindings/signal/signal.h"
#include "bindings/sync/channel_module.h"
#include "bindings/sync/sync.h"
#include "bindings/task/blocking_function.h"
#include "bindings/task/task.h"
#include "bindings/task/task_options.h"
#include "bindings/thread/thread.h"
#include "bindings/worker/store.h"
#include "bindings/worker/worker.h"
#include "hub/switch/switch.h"
#include "vm/budget.h"
#include "vm/moonlet_state.h"
#include "vm/sandbox.h"
#include "vm/stdlib.h"

#include <dlfcn.h>
#include <lualib.h>
#include <stdio.h>

/* Loader of an embedded module. Upvalue: its entry. Stack: name, ":preload:". */
static int load_embedded(lua_State *L)
{
    const struct ml_stdlib_module *module = lua_touserdata(L, lua_upvalueindex(1));
    const char *chunk_name = lua_pushfstring(L, "=[%s]", module->name);
    if (luaL_loadbufferx(L, module->source, module->size, chunk_name, "t") != LUA_OK)
        return lua_error(L);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* C modules look for Lua's functions among the names of the whole process. A host may have opened
 * this library with RTLD_LOCAL, as a plug-in is: then the names of the shared liblua are not among
 * them yet. */
static void publish_lua(void)
{
    Dl_info lua;
    if (dladdr((void *)lua_newstate, &lua) == 0)
        return;
    void *library = dlopen(lua.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_GLOBAL);
    if (library != NULL)
        dlclose(library);
}

/* C modules may bring C++ runtimes into the process. Upvalue: the searcher, whose second result is
 * the module's file. */
static int search_c_module(lua_State *L)
{
    publish_lua();
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    ml_hub_find_cxx(&ml_lua_of(L)->hub, lua_tostring(L, 2));
    return lua_gettop(L);
}

/* Stack: package. */
static void wrap_c_searchers(lua_State *L)
{
    lua_getfield(L, -1, "searchers");
    for (int i = ML_SEARCHER_C; i <= ML_SEARCHER_C_ROOT; i++) {
        lua_rawgeti(L, -1, i);
        lua_pushcclosure(L, search_c_module, 1);
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 1);
}

static void preload_modules(lua_State *L)
{
    static const luaL_Reg modules[] = {{"moonlet.task.core", ml_open_task},
                                       {"moonlet.net.core", ml_open_net},
                                       {"moonlet.greenlet", ml_open_greenlet},
                                       {"moonlet.sync.core", ml_open_sync},
                                       {"moonlet.channel", ml_open_channel},
                                       {"moonlet.test.core", ml_open_test},
                                       {"moonlet.patch", ml_open_patch},
                                       {"moonlet.postgres.core", ml_open_postgres},
                                       {"moonlet.process.core", ml_open_process},
                                       {"moonlet.repl.session", ml_open_session},
                                       {"moonlet.repl.editor", ml_open_editor},
                                       {"moonlet.argument.core", ml_open_argument},
                                       {"moonlet.thread.core", ml_open_thread},
                                       {"moonlet.blocking.core", ml_open_blocking},
                                       {"moonlet.http.headers", ml_open_http_headers},
                                       {"moonlet.http.client.core", ml_open_http_client},
                                       {"moonlet.fs.core", ml_open_fs},
                                       {"moonlet.url", ml_open_url},
                                       {"moonlet.crypto", ml_open_crypto},
                                       {"moonlet.json", ml_open_json},
                                       {"moonlet.fs.watch.core", ml_open_fs_watch},
                                       {"moonlet.http.server.core", ml_open_http_server},
                                       {"moonlet.http.multipart.core", ml_open_http_multipart},
                                       {"moonlet.http.files.core", ml_open_http_files},
                                       {"moonlet.websocket.core", ml_open_websocket},
                                       {"moonlet.inspect.profile.core", ml_open_inspect_profile},
                                       {"moonlet.inspect.trace.core", ml_open_inspect_trace},
                                       {"moonlet.signal.core", ml_open_signal},
                                       {"moonlet.terminal.core", ml_open_terminal},
                                       {"moonlet.inspect.debugger.core", ml_open_inspect_debugger},
                                       {"moonlet.inspect.tasks.core", ml_open_inspect_tasks},
                                       {"moonlet.inspect.agent.core", ml_open_inspect_agent},
                                       {"moonlet.inspector.core", ml_open_inspector},
                                       {"moonlet.inspect.metrics.core", ml_open_metrics},
                                       {"moonlet.worker.store.core", ml_open_worker_store},
                                       {"moonlet.sqlite.core", ml_open_sqlite},
                                       {"moonlet.worker.core", ml_open_worker},
                                       {NULL, NULL}};
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, modules, 0);
    for (const struct ml_stdlib_module *module = ml_stdlib_modules; module->name != NULL;
         module++) {
        lua_pushlightuserdata(L, (void *)module);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, module->name);
    }
    lua_pop(L, 1);
}

/*
 * Handles an error on a thread on which a C library runs Lua without a protected call. Stock Lua
 * throws it on the main thread, where the call of the library may be protected; here that is the
 * running task's innermost thread.
 */
static void throw_on_running(lua_State *L, struct ml_lua *lua)
{
    lua_State *running = ml_thread_of(lua->hub.current->strand);
    if (running == L || !lua_checkstack(running, 1))
        return;
    lua_xmove(L, running, 1);
    lua_error(running);
}

/* Called for an error that no protected call catches. Only the task that was running is lost. */
static int on_panic(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (lua->hub.current != NULL)
        throw_on_running(L, lua);
    char number[ML_ERROR_NUMBER];
    const char *message = ml_error_chars(L, -1, number);
    char text[512];
    snprintf(text, sizeof text, "unprotected error in a C library: %s",
             message != NULL ? message : "the error object is not a string");
    lua->report.tell(lua, text);
    lua->report.was_told = true;
    if (lua->hub.current == NULL)
        return 0;
    lua_settop(lua->main, 0);
    ml_lua_task_restart(lua, ML_RUN_UNPROTECTED);
}

int ml_state_open(lua_State *L)
{
    struct moonlet *m = lua_touserdata(L, 1);
    if (m->options.ignore_environment) {
        lua_pushboolean(L, 1);
        lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    }
    ml_lua_open(L, &m->lua);
    lua_atpanic(L, on_panic);
    luaL_openlibs(L);
    ml_open_standard(L);
    ml_open_hooks(L);
    ml_open_task_type(L);
    preload_modules(L);
    lua_getglobal(L, LUA_LOADLIBNAME);
    wrap_c_searchers(L);
    if (m->options.instruction_limit > 0)
        ml_budget_open(L);
    if (m->options.without != 0)
        ml_sandbox_close(L, m->options.without);
    return 0;
}
