/* Calls on threads of their own, as the task that waits for them sees them. */
#ifndef ML_BINDINGS_THREAD_CALL_H
#define ML_BINDINGS_THREAD_CALL_H

#include <lua.h>

/* thread.call and thread.spawn, see there. */
int ml_thread_call(lua_State *L);
int ml_thread_spawn(lua_State *L);

#endif
