/*
 * The few functions of Lua's C API that show what a thread is about, as C libraries are to see it:
 * a coroutine that was left by a hard switch is suspended, though stock Lua takes it for one that
 * runs. Of threads that are no runtime's, and of all others, they tell what stock Lua tells.
 */
#ifndef ML_VM_LUA_API_H
#define ML_VM_LUA_API_H

#include <lua.h>

/* lua_status(). LUA_YIELD, too: a task is parked in a call made on L, or a greenlet left off there.
 */
int ml_lua_api_status(lua_State *L);

/* lua_isyieldable(): whether lua_yield() works. Not on a task's own thread, nobody has resumed
 * that. */
int ml_lua_api_isyieldable(lua_State *L);

/* lua_resume(). A suspended coroutine goes on on its own C stack, inside the running task. */
int ml_lua_api_resume(lua_State *L, lua_State *from, int count, int *results);

/* lua_resetthread(); lua_closethread(). */
int ml_lua_api_resetthread(lua_State *L);

#endif
