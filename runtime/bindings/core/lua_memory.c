#include "bindings/core/lua_memory.h"

#include "base/pool.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_runtime.h"
#include "hub/switch/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the size of a thread ---- */

/* lua_Alloc that remembers the size of the last thread. */
static void *probe(void *data, void *block, size_t old_size, size_t size)
{
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (block == NULL && old_size == LUA_TTHREAD)
        *(size_t *)data = size;
    return realloc(block, size);
}

int ml_lua_memory_init(struct ml_lua *lua, struct ml_pool *pool)
{
    size_t size = 0;
    lua_State *L = lua_newstate(probe, &size);
    if (L == NULL)
        return -ENOMEM;
    lua_newthread(L);
    lua_close(L);
    lua->memory.pool = pool;
    lua->memory.thread_size = size;
    return 0;
}

/* ---- blocks as large as a thread ---- */

/*
 * Lua says what a block is for when it requests it, but not when it frees it. So every block that
 * is as large as a thread has room for a strand in front; it is zeroed if the block is something
 * else.
 */
static void *obtain_with_strand(struct ml_lua *lua)
{
    char *block =
        ml_pool_realloc(lua->memory.pool, NULL, 0, ML_STRAND_ROOM + lua->memory.thread_size);
    if (block == NULL)
        return NULL;
    memset(block, 0, ML_STRAND_ROOM);
    return block + ML_STRAND_ROOM;
}

static void free_with_strand(struct ml_lua *lua, void *block)
{
    struct ml_strand *strand = (struct ml_strand *)((char *)block - ML_STRAND_ROOM);
    if (!ml_coro_is_unbound(&strand->coro) || strand->scope != NULL)
        ml_strand_drop(&lua->hub, strand);
    ml_hooks_forget(lua, ml_thread_of(strand));
    ml_pool_realloc(lua->memory.pool, strand, ML_STRAND_ROOM + lua->memory.thread_size, 0);
}

/* Threads are never resized. This is another block, which has the size of one or gets it. */
static void *resize_with_strand(struct ml_lua *lua, void *block, size_t old_size, size_t size)
{
    void *moved = ml_lua_realloc(lua, NULL, 0, size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, old_size < size ? old_size : size);
    ml_lua_realloc(lua, block, old_size, 0);
    return moved;
}

static __attribute__((noinline)) void *realloc_with_strand(struct ml_lua *lua, void *block,
                                                           size_t old_size, size_t size)
{
    if (block == NULL)
        return obtain_with_strand(lua);
    if (size > 0)
        return old_size == size ? block : resize_with_strand(lua, block, old_size, size);
    free_with_strand(lua, block);
    return NULL;
}

void *ml_lua_realloc(void *owner, void *block, size_t old_size, size_t size)
{
    struct ml_lua *lua = owner;
    bool was_as_large = block != NULL && old_size == lua->memory.thread_size;
    if (ml_unlikely(size == lua->memory.thread_size || was_as_large))
        return realloc_with_strand(lua, block, old_size, size);
    return ml_pool_realloc(lua->memory.pool, block, old_size, size);
}

/* A block that shrinks or is freed never fails, as Lua demands. It is counted before, since other
 * threads may use the limit, too. */
void *ml_lua_realloc_limited(void *owner, void *block, size_t old_size, size_t size)
{
    struct ml_lua *lua = owner;
    size_t growth = size - (block != NULL ? old_size : 0); /* modulo: it may shrink */
    bool grows = block == NULL || size > old_size;
    size_t used = atomic_fetch_add_explicit(&lua->memory.used, growth, memory_order_relaxed);
    bool is_refused = grows && used + growth > lua->memory.limit;
    void *moved = is_refused ? NULL : ml_lua_realloc(owner, block, old_size, size);
    if (moved == NULL && size > 0)
        atomic_fetch_sub_explicit(&lua->memory.used, growth, memory_order_relaxed);
    return moved;
}
