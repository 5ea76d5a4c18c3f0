/*
 * The few functions of Lua's C API that show the state of a thread, in versions for C libraries: a
 * coroutine that was left by a hard switch is suspended, where stock Lua takes it for a running
 * one. For threads that belong to no runtime, and for all others, the results are stock Lua's.
 */
#ifndef ML_VM_LUA_API_H
#define ML_VM_LUA_API_H

#include <lua.h>

/* lua_status(). LUA_YIELD also if a task is parked, or a greenlet suspended, in a call made on L.
 */
int ml_lua_api_status(lua_State *L);

/* lua_isyieldable(): whether lua_yield() works. It does not on a task's own thread, which has no
 * resumer. */
int ml_lua_api_isyieldable(lua_State *L);

/* lua_resume(). A suspended coroutine goes on on its own C stack, inside the running task. */
int ml_lua_api_resume(lua_State *L, lua_State *from, int count, int *results);

/* lua_resetthread(); lua_closethread(). */
int ml_lua_api_resetthread(lua_State *L);

#endif
