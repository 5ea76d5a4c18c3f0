/*** @submodule moonlet.thread */
#include "bindings/thread/thread.h"

#include "bindings/core/failure.h"
#include "bindings/thread/call.h"
#include "bindings/thread/pool_call.h"
#include "bindings/thread/thread_channel.h"

#include <lauxlib.h>
#include <sched.h>

/* How many processors this process may use. */
static int thread_cores(lua_State *L)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    lua_pushinteger(L, count > 0 ? count : 1);
    return 1;
}

int ml_open_thread(lua_State *L)
{
    static const luaL_Reg functions[] = {{"call", ml_thread_call},
                                         {"spawn", ml_thread_spawn},
                                         {"channel", ml_thread_channel_make},
                                         {"cores", thread_cores},
                                         {"function_of", ml_thread_function},
                                         {"send", ml_thread_send},
                                         {"answer", ml_thread_answer},
                                         {"receive", ml_thread_receive},
                                         {"raise", ml_thread_raise},
                                         {NULL, NULL}};
    ml_open_thread_channel_type(L);
    ml_failure_push_type(L); /* packing needs no memory of Lua's then */
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
