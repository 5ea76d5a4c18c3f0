#include "bindings/core/lua_open.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/garbage_collection.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/story.h"
#include "bindings/core/task_attribute.h"
#include "bindings/core/task_body.h"
#include "bindings/core/thread_pool.h"

#include <lauxlib.h>

/* Keys in the registry. */
static const char aside_key, idle_generators_key;

/* Children go with the scope in which they were started. */
static void leave_scope(struct ml_hub *hub, const struct ml_scope *scope)
{
    struct ml_lua *lua = hub->owner;
    ml_children_leave_scope(&lua->children, scope);
}

/* Installs the hub's hooks. */
static void install(struct ml_lua *lua)
{
    lua->hub.hooks.body = ml_lua_task_body;
    lua->hub.hooks.prefetch = ml_lua_task_prefetch;
    lua->hub.hooks.starve = ml_lua_task_starve;
    lua->hub.hooks.collect = ml_lua_collect;
    lua->hub.hooks.scope_left = leave_scope;
    lua->hub.owner = lua;
    ml_hooks_install(lua, ML_HOOK_YIELD, &ml_refused_yield);
}

void ml_lua_open(lua_State *L, struct ml_lua *lua)
{
    lua->main = L;
    install(lua);
    *ml_lua_mark(L) = (uintptr_t)lua;
    ml_thread_pool_open(L);
    ml_lua_tasks_open(L);
    lua->aside = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &aside_key);
    lua->idle_generators = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &idle_generators_key);
    ml_task_body_open(L);
    ml_attributes_open(L);
    ml_story_open(L);
    ml_cancellation_open(L);
}

void ml_lua_release(struct ml_lua *lua)
{
    ml_hook_records_release(&lua->hooks);
    ml_source_lines_release(&lua->source_lines);
    ml_thread_pool_release(lua);
}
