/* Calls on threads of their own, as the task that waits for them sees them. */
#ifndef ML_BINDINGS_THREAD_CALL_H
#define ML_BINDINGS_THREAD_CALL_H

#include <lua.h>

/* thread.call and thread.spawn, see there. */
int ml_thread_call(lua_State *L);
int ml_thread_spawn(lua_State *L);

/* What is at `index` as a function and its first argument. 1: it is a function, or the name of one;
 * 2: it is an object with __call, before which that function is inserted; 0: nothing of these. */
int ml_thread_resolve(lua_State *L, int index);

#endif
