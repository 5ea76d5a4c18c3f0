/*
 * Small blocks of memory for one thread, without a header each: the caller passes the size back
 * when it frees, as Lua does. Blocks of a size lie in slabs; a slab whose last block is freed
 * serves any size again. Empty memory goes back to the system in large pieces: arenas, and after a
 * peak the pages of empty slabs in arenas that are not empty. Larger blocks are malloc's; the last
 * ones that were freed are kept for the next request of the same size. With an allocator of the
 * host's, every block is that one's.
 *
 * Lua hands out its allocator (lua_getallocf), and C libraries call it on other threads. Those get
 * blocks of malloc's; a block of a slab that they free waits for the pool's own thread. From their
 * first call on the own thread checks of each block whose it is; before, and without them, that
 * costs nothing.
 *
 * measured against glibc's malloc, see docs/performance.md: 80 bytes less per sleeping task, spawn
 * and finish of a task a quarter faster.
 */
#ifndef ML_BASE_POOL_H
#define ML_BASE_POOL_H

#include "base/arena_set.h"
#include "base/clock.h"
#include "base/list.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The largest block that lies in a slab, and the step between sizes, in bytes. */
enum { ML_POOL_LARGEST = 2048, ML_POOL_STEP = 16 };

/* Large blocks that are kept: how many, and the smallest and largest size in bytes. */
enum { ML_POOL_KEPT = 16, ML_POOL_KEPT_LEAST = 16 * 1024, ML_POOL_KEPT_MOST = 80 * 1024 };

struct ml_kept_block {
    void *memory;
    size_t size;
};

/* As lua_Alloc, but old_size is 0 for a block that is NULL. */
typedef void *ml_pool_allocator(void *context, void *block, size_t old_size, size_t size);

struct ml_pool {
    void *_Atomic owner;    /* the only thread that has blocks; NULL: others have some too, or the
                               allocator is the host's */
    void *thread;           /* the pool's own */
    void *_Atomic returned; /* blocks of slabs that other threads freed, each holding the
                               next */
    struct ml_arena_set arenas_made; /* all of them */
    ml_pool_allocator *allocator;    /* NULL: blocks lie in slabs */
    void *allocator_context;
    struct ml_link slabs[ML_POOL_LARGEST / ML_POOL_STEP + 1]; /* for each size: slabs with room */
    struct ml_link arenas;                                    /* arenas with room for a slab */
    struct ml_kept_block kept[ML_POOL_KEPT];
    uint32_t kept_count;
    uint32_t arena_count;
    uint32_t empty_arenas; /* without a slab in use */
    uint32_t slabs_in_use;
    uint32_t idle_slabs; /* used before, and their pages are still there */
    ml_time dropped_at;  /* when pages of idle slabs were given back last */
};

/* A pool of the calling thread. */
void ml_pool_init(struct ml_pool *pool);

/* From now on every block comes from the allocator. To be called before the first block. */
void ml_pool_set_allocator(struct ml_pool *pool, ml_pool_allocator *allocator, void *context);

/* Gives the memory back; every block has been freed. */
void ml_pool_release(struct ml_pool *pool);

/*
 * Lua's allocator (lua_Alloc), with a pool as its first argument. size 0 frees. Otherwise it
 * returns the block, moved if need be, or NULL with the old one unharmed. old_size counts only when
 * block is not NULL. From any thread.
 */
void *ml_pool_realloc(void *pool, void *block, size_t old_size, size_t size);

#endif
