#include "bindings/thread_pool.h"

#include "bindings/lua_task.h"

/* Makes a thread, kept alive by the pool at `index`, or, when that is 0, by the Task at `task`. */
static lua_State *new_thread(lua_State *L, int task, int index)
{
    ml_lua_push_pool(L);
    lua_State *thread = lua_newthread(L);
    if (index > 0)
        lua_rawseti(L, -2, index);
    else
        lua_setiuservalue(L, task, ML_TASK_THREAD);
    lua_pop(L, 1);
    return thread;
}

struct ml_pool_thread ml_thread_take(lua_State *L, int task)
{
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_pool_thread thread = {0};
    if (lua->idle_count > 0)
        thread = lua->idle[--lua->idle_count];
    else if (lua->pool_size < ML_POOL_THREADS)
        thread.index = ++lua->pool_size;
    if (thread.L == NULL)
        thread.L = new_thread(L, task, thread.index);
    return thread;
}

void ml_thread_give_back(struct ml_lua *lua, struct ml_pool_thread thread, bool serves_again)
{
    if (thread.index == 0)
        return;
    if (!serves_again) {
        ml_lua_push_pool(lua->aside);
        lua_pushboolean(lua->aside, 0);
        lua_rawseti(lua->aside, -2, thread.index);
        lua_pop(lua->aside, 1);
        thread.L = NULL;
    }
    lua->idle[lua->idle_count++] = thread;
}
