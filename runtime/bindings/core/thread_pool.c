#include "bindings/core/thread_pool.h"

#include "bindings/core/lua_task.h"

/* Makes a thread for an empty place of the pool, or, when there is none, for the Task at `task`. A
 * place is taken once nothing can fail any more. Finalizers run while the thread is made, and may
 * take places themselves. */
static __attribute__((noinline)) struct ml_pool_thread make_thread(lua_State *L, int task)
{
    struct ml_lua *lua = ml_lua_of(L);
    ml_lua_push_pool(L);
    struct ml_pool_thread thread = {.L = lua_newthread(L)};
    bool is_new = lua->idle_count == 0;
    if (!is_new)
        thread.index = lua->idle[lua->idle_count - 1].index;
    else if (lua->pool_size < ML_POOL_THREADS)
        thread.index = lua->pool_size + 1;
    if (thread.index > 0)
        lua_rawseti(L, -2, thread.index);
    else
        lua_setiuservalue(L, task, ML_TASK_THREAD);
    lua->idle_count -= !is_new;
    lua->pool_size += is_new && thread.index > 0;
    lua_pop(L, 1);
    return thread;
}

struct ml_pool_thread ml_thread_take(lua_State *L, int task)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (ml_likely(lua->idle_count > 0 && lua->idle[lua->idle_count - 1].L != NULL))
        return lua->idle[--lua->idle_count];
    return make_thread(L, task);
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
