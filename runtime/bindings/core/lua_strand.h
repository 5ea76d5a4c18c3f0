/*
 * The C half of a Lua thread: every lua_State but the main one has its strand in front of it, in
 * the same block of memory. So subtraction leads from one to the other, and the collector frees
 * both together. Knows nothing of the code on it.
 */
#ifndef ML_BINDINGS_CORE_LUA_STRAND_H
#define ML_BINDINGS_CORE_LUA_STRAND_H

#include "hub/state/strand.h"

#include <lua.h>

/* Lua aligns its blocks to this. */
enum { ML_LUA_ALIGNMENT = 16 };
enum {
    ML_STRAND_ROOM =
        (sizeof(struct ml_strand) + ML_LUA_ALIGNMENT - 1) / ML_LUA_ALIGNMENT * ML_LUA_ALIGNMENT
};

/* The strand of a thread. For the main state: an address to compare, not to follow. */
static inline struct ml_strand *ml_strand_of(lua_State *L)
{
    return (struct ml_strand *)((char *)L - LUA_EXTRASPACE - ML_STRAND_ROOM);
}

/* The thread of a strand. */
static inline lua_State *ml_thread_of(struct ml_strand *strand)
{
    return (lua_State *)((char *)strand + ML_STRAND_ROOM + LUA_EXTRASPACE);
}

#endif
