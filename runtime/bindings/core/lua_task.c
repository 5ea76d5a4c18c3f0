#include "bindings/core/lua_task.h"

#include <lauxlib.h>

struct ml_lua_task *ml_check_task(lua_State *L, int index)
{
    return luaL_checkudata(L, index, ML_TASK_TYPE);
}

void ml_lua_push_task(lua_State *L, struct ml_lua_task *task)
{
    ml_lua_push_tasks(L);
    lua_rawgeti(L, -1, (lua_Integer)task->task.waiter.slot + 1);
    lua_remove(L, -2);
    task->is_known = true;
}

void ml_lua_push_tasks(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ml_lua_of(L)->tasks.ref);
}

void ml_lua_push_task_type(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ml_lua_of(L)->tasks.type_ref);
}

void ml_lua_tasks_open(lua_State *L)
{
    struct ml_lua_tasks *tasks = &ml_lua_of(L)->tasks;
    lua_newtable(L);
    tasks->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    luaL_newmetatable(L, ML_TASK_TYPE);
    tasks->type_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
