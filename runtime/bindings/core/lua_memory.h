/*
 * The memory of a Lua state: blocks from the pool of its runtime, and in front of each thread room
 * for its strand (bindings/core/lua_strand.h). Knows nothing of the blocks' content.
 */
#ifndef ML_BINDINGS_CORE_LUA_MEMORY_H
#define ML_BINDINGS_CORE_LUA_MEMORY_H

#include "base/pool.h"

#include <lua.h>

struct ml_lua;

/* lua_Alloc for a runtime's state; `lua` is its struct ml_lua, prepared by ml_lua_memory_init().
 * Frees with a thread its stack, the copy of its frames and its scopes. */
void *ml_lua_realloc(void *lua, void *block, size_t old_size, size_t size);

/* The same under lua->memory.limit, counting in lua->memory.used. */
void *ml_lua_realloc_limited(void *lua, void *block, size_t old_size, size_t size);

/* Finds out how large a thread is. To be called before the state is created. 0 or -ENOMEM. */
int ml_lua_memory_init(struct ml_lua *lua, struct ml_pool *pool);

#endif
