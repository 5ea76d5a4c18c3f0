/* The Lua threads on which tasks run, one task after another. Knows nothing of the tasks. */
#ifndef ML_BINDINGS_CORE_THREAD_POOL_H
#define ML_BINDINGS_CORE_THREAD_POOL_H

#include "bindings/core/lua_runtime.h"

/* Takes an idle thread, or makes one. The pool keeps it alive or, if its index is 0, the Task at
 * `task`. Raises when Lua has no memory. */
struct ml_pool_thread ml_thread_take(lua_State *L, int task);

/* Gives a thread of the pool back; one that cannot serve again makes room for a new one. Never
 * raises. */
void ml_thread_give_back(struct ml_lua *lua, struct ml_pool_thread thread, bool serves_again);

/* Makes it, empty. Raises. */
void ml_thread_pool_open(lua_State *L);

/* Frees memory that is not Lua's, after lua_close(). */
void ml_thread_pool_release(struct ml_lua *lua);

#endif
