#include "bindings/thread/pool_call.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/thread/call.h"
#include "bindings/thread/outcome.h"
#include "bindings/thread/thread_channel.h"

#include <lauxlib.h>

/* Raises the text as an error in the line that called the method of the pool. */
static int refuse(lua_State *L, const char *text)
{
    enum { CALLER = 3 }; /* of the method, which called a function that called the running one */
    luaL_where(L, CALLER);
    lua_pushstring(L, text);
    lua_concat(L, 2);
    return lua_error(L);
}

int ml_thread_function(lua_State *L)
{
    lua_settop(L, 1);
    return ml_thread_resolve(L, 1);
}

int ml_thread_send(lua_State *L)
{
    int count = lua_gettop(L) - 1;
    ml_blocking_enter(L, ML_FOREVER);
    char text[ML_PACK_TEXT];
    struct ml_parcel *call = ml_pack_try(L, 2, count, "argument #%d", 1, text);
    if (call == NULL)
        return refuse(L, text);
    return ml_push_outcome(L, ml_thread_channel_put(L, 1, call, ML_FOREVER));
}

/* Carries out the call of which the thread has the parcel. That belongs to the thread until the
 * function begins, which may not come back: os.exit(). */
static int carry_out(lua_State *L)
{
    return ml_thread_carry_out(L, ml_lua_of(L)->os_threads.call);
}

int ml_thread_answer(lua_State *L)
{
    struct ml_message *message = NULL;
    struct ml_thread_call *thread = ml_lua_of(L)->os_threads.call;
    luaL_argcheck(L, thread != NULL && thread->task == NULL, 1, "not a thread of a pool");
    lua_settop(L, 2);
    if (ml_thread_channel_get(L, 1, &message, ML_FOREVER) != 0)
        return 0;
    thread->task = ml_parcel_of(message);
    lua_pushcfunction(L, ml_thread_keep_error);
    lua_pushcfunction(L, carry_out);
    int status = lua_pcall(L, 0, LUA_MULTRET, 3);
    if (thread->task != NULL) {
        ml_parcel_release(thread->task);
        thread->task = NULL;
    }
    struct ml_parcel *outcome =
        status == LUA_OK ? ml_outcome_of_results(L, 4) : ml_outcome_of_error(L);
    if (outcome == NULL)
        return luaL_error(L, "not enough memory for the outcome of a call");
    lua_settop(L, 2);
    ml_thread_channel_put(L, 2, outcome, ML_FOREVER);
    lua_pushboolean(L, 1);
    return 1;
}

int ml_thread_receive(lua_State *L)
{
    struct ml_message *message = NULL;
    if (ml_thread_channel_get(L, 1, &message, ML_FOREVER) != 0)
        return 0;
    return ml_outcome_push(L, ml_parcel_of(message));
}

int ml_thread_raise(lua_State *L)
{
    const char *name = luaL_checkstring(L, 3);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    return ml_outcome_raise(L, name);
}
