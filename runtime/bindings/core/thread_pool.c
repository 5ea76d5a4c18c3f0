#include "bindings/core/thread_pool.h"

#include "bindings/core/lua_task.h"

#include <lauxlib.h>
#include <stdlib.h>

static void push_pool(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ml_lua_of(L)->threads.ref);
}

/* Makes a thread for an empty place of the pool or, if there is none, for the Task at `task`. The
 * place is taken when nothing can fail any more. Finalizers run while the thread is made, and may
 * take places themselves. */
static __attribute__((noinline)) struct ml_pool_thread make_thread(lua_State *L, int task)
{
    struct ml_lua *lua = ml_lua_of(L);
    push_pool(L);
    struct ml_pool_thread thread = {.L = lua_newthread(L)};
    bool is_new = lua->threads.idle_count == 0;
    if (!is_new)
        thread.index = lua->threads.idle[lua->threads.idle_count - 1].index;
    else if (lua->threads.count < ML_POOL_THREADS)
        thread.index = lua->threads.count + 1;
    if (thread.index > 0)
        lua_rawseti(L, -2, thread.index);
    else
        lua_setiuservalue(L, task, ML_TASK_THREAD);
    lua->threads.idle_count -= !is_new;
    lua->threads.count += is_new && thread.index > 0;
    lua_pop(L, 1);
    return thread;
}

struct ml_pool_thread ml_thread_take(lua_State *L, int task)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (ml_likely(lua->threads.idle_count > 0 &&
                  lua->threads.idle[lua->threads.idle_count - 1].L != NULL))
        return lua->threads.idle[--lua->threads.idle_count];
    return make_thread(L, task);
}

void ml_thread_give_back(struct ml_lua *lua, struct ml_pool_thread thread, bool serves_again)
{
    if (thread.index == 0)
        return;
    if (!serves_again) {
        push_pool(lua->aside);
        lua_pushboolean(lua->aside, 0);
        lua_rawseti(lua->aside, -2, thread.index);
        lua_pop(lua->aside, 1);
        thread.L = NULL;
    }
    lua->threads.idle[lua->threads.idle_count++] = thread;
}

void ml_thread_pool_open(lua_State *L)
{
    struct ml_thread_pool *threads = &ml_lua_of(L)->threads;
    threads->idle = malloc(ML_POOL_THREADS * sizeof *threads->idle);
    if (threads->idle == NULL)
        luaL_error(L, "not enough memory");
    lua_newtable(L);
    threads->ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void ml_thread_pool_release(struct ml_lua *lua)
{
    free(lua->threads.idle);
    lua->threads.idle = NULL;
    lua->threads.idle_count = 0;
}
