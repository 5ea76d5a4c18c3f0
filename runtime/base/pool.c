#include "base/pool.h"

#include "base/check.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Slabs are aligned to their size, and so are the arenas they are cut from: a block's address leads
 * to both. */
enum {
    SLAB_SIZE = 32 * 1024,
    ARENA_SIZE = 2 * 1024 * 1024,
    ARENA_SLABS = ARENA_SIZE / SLAB_SIZE,
    EMPTY_ARENAS_KEPT = 2,
    IDLE_SLABS_KEPT = 64, /* 2 MiB, and as many as are in use */
    HUGE_FROM =
        2, /* arenas: a program beyond its first 4 MiB gets huge pages, resident as a whole */
};

/* The least time between two searches for idle slabs: memory that a wave of tasks frees is needed
 * by the next wave (measured: waves of 4,000 tasks take 0.3 us a task more if all goes back each
 * time). */
#define DROP_INTERVAL (100 * ML_MILLISECOND)

struct ml_slab {
    struct ml_link link; /* among the pool's slabs with room, or its arena's idle ones */
    void *free;          /* freed blocks, each holding the next */
    uint32_t fresh;      /* offset of the first block never handed out */
    uint32_t step;       /* size of its blocks */
    uint32_t in_use;     /* blocks */
};

/* Lies at the start of its own memory, so that its first slab is smaller. */
struct ml_arena {
    struct ml_link link; /* among the pool's arenas with room */
    struct ml_link idle; /* slabs that were used before */
    uint32_t fresh;      /* slabs from this number on were never used */
    uint32_t in_use;     /* slabs */
};

/* Room for either header; keeps the first block aligned. */
enum { HEADER_SIZE = 64 };
_Static_assert(sizeof(struct ml_slab) <= HEADER_SIZE && sizeof(struct ml_arena) <= HEADER_SIZE,
               "headers fit");

/* Sanitizers watch only blocks from malloc. */
#if defined(__SANITIZE_ADDRESS__)
enum { IS_POOLED = 0 };
#elif defined(__has_feature)
enum { IS_POOLED = !__has_feature(address_sanitizer) };
#else
enum { IS_POOLED = 1 };
#endif

void ml_pool_init(struct ml_pool *pool)
{
    for (size_t i = 0; i < sizeof pool->slabs / sizeof *pool->slabs; i++)
        ml_list_init(&pool->slabs[i]);
    ml_list_init(&pool->arenas);
    pool->arenas_made = (struct ml_arena_set){.used = 0};
    pool->owner = pool->thread = ml_thread_self();
    pool->returned = NULL;
    pool->arena_count = pool->empty_arenas = pool->kept_count = 0;
    pool->slabs_in_use = pool->idle_slabs = 0;
    pool->dropped_at = 0;
    pool->allocator = NULL;
}

void ml_pool_set_allocator(struct ml_pool *pool, ml_pool_allocator *allocator, void *context)
{
    pool->allocator = allocator;
    pool->allocator_context = context;
    pool->owner = allocator == NULL ? pool->thread : NULL;
}

/* ---- arenas ---- */

/* A mapping of twice the size is trimmed at both ends. */
static struct ml_arena *map_arena(void)
{
    size_t size = ARENA_SIZE;
    char *memory = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)memory % size;
    if (before > 0)
        munmap(memory, before);
    munmap(memory + before + size, size - before);
    return (struct ml_arena *)(memory + before);
}

static struct ml_arena *add_arena(struct ml_pool *pool)
{
    struct ml_arena *arena = map_arena();
    if (arena == NULL || ml_arena_set_add(&pool->arenas_made, (uintptr_t)arena) != 0) {
        if (arena != NULL)
            munmap(arena, ARENA_SIZE);
        return NULL;
    }
    if (pool->arena_count >= HUGE_FROM)
        madvise(arena, ARENA_SIZE, MADV_HUGEPAGE);
    ml_list_init(&arena->idle);
    ml_list_insert(&pool->arenas, &arena->link);
    pool->arena_count++;
    pool->empty_arenas++;
    return arena;
}

/* Of an arena without a slab in use. */
static void unmap_arena(struct ml_pool *pool, struct ml_arena *arena)
{
    for (struct ml_link *link = arena->idle.next; link != &arena->idle; link = link->next)
        pool->idle_slabs -= ml_container_of(link, struct ml_slab, link)->step != 0;
    ml_list_remove(&arena->link);
    ml_arena_set_remove(&pool->arenas_made, (uintptr_t)arena);
    munmap(arena, ARENA_SIZE);
    pool->arena_count--;
    pool->empty_arenas--;
}

/* ---- slabs ---- */

/* The first slab begins behind the arena's header, the others at multiples of their size. */
static struct ml_slab *fresh_slab(struct ml_arena *arena)
{
    size_t number = arena->fresh++;
    return (struct ml_slab *)((char *)arena + (number > 0 ? number * SLAB_SIZE : HEADER_SIZE));
}

static uint32_t slab_start(const struct ml_slab *slab)
{
    return (uint32_t)((uintptr_t)slab % SLAB_SIZE) + HEADER_SIZE;
}

static struct ml_arena *arena_of(const struct ml_slab *slab)
{
    return (struct ml_arena *)((uintptr_t)slab & ~(uintptr_t)(ARENA_SIZE - 1));
}

static struct ml_slab *slab_of(const void *block)
{
    uintptr_t start = (uintptr_t)block & ~(uintptr_t)(SLAB_SIZE - 1);
    return (struct ml_slab *)(start % ARENA_SIZE != 0 ? start : start + HEADER_SIZE);
}

static struct ml_slab *take_from(struct ml_pool *pool, struct ml_arena *arena)
{
    if (ml_list_is_empty(&arena->idle))
        return fresh_slab(arena);
    struct ml_slab *slab = ml_container_of(arena->idle.next, struct ml_slab, link);
    ml_list_remove(&slab->link);
    pool->idle_slabs -= slab->step != 0;
    return slab;
}

/* ---- after a peak ---- */

/* All but the page with the slab's header; a step of 0 marks the slab. */
static void drop_pages(struct ml_slab *slab)
{
    enum { PAGE = 4096 };
    uintptr_t first = ((uintptr_t)slab + HEADER_SIZE + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = ((uintptr_t)slab & ~(uintptr_t)(SLAB_SIZE - 1)) + SLAB_SIZE;
    madvise((void *)first, end - first, MADV_DONTNEED);
    slab->step = 0;
}

/* A huge page would fill the gaps again. Slabs without pages are at the end of the list, to be used
 * last. */
static void drop_idle(struct ml_arena *arena)
{
    struct ml_link *link = arena->idle.next;
    bool has_pages = link != &arena->idle && ml_container_of(link, struct ml_slab, link)->step != 0;
    if (has_pages)
        madvise(arena, ARENA_SIZE, MADV_NOHUGEPAGE);
    for (; link != &arena->idle; link = link->next)
        if (ml_container_of(link, struct ml_slab, link)->step != 0)
            drop_pages(ml_container_of(link, struct ml_slab, link));
}

static __attribute__((noinline)) void drop_all_idle(struct ml_pool *pool)
{
    for (struct ml_link *link = pool->arenas.next; link != &pool->arenas; link = link->next)
        drop_idle(ml_container_of(link, struct ml_arena, link));
    pool->idle_slabs = 0;
}

/* Called when a slab became idle. */
static void consider_idle(struct ml_pool *pool)
{
    if (pool->idle_slabs <= IDLE_SLABS_KEPT + pool->slabs_in_use)
        return;
    ml_time now = ml_clock_now();
    if (now - pool->dropped_at < DROP_INTERVAL)
        return;
    pool->dropped_at = now;
    drop_all_idle(pool);
}

/* ---- slabs of a size ---- */

static struct ml_slab *add_slab(struct ml_pool *pool, size_t index)
{
    struct ml_arena *arena = ml_list_is_empty(&pool->arenas)
                                 ? add_arena(pool)
                                 : ml_container_of(pool->arenas.next, struct ml_arena, link);
    if (arena == NULL)
        return NULL;
    struct ml_slab *slab = take_from(pool, arena);
    pool->slabs_in_use++;
    pool->empty_arenas -= arena->in_use == 0;
    if (++arena->in_use == ARENA_SLABS)
        ml_list_remove(&arena->link);
    *slab = (struct ml_slab){.fresh = slab_start(slab), .step = (uint32_t)index * ML_POOL_STEP};
    ml_list_insert(&pool->slabs[index], &slab->link);
    return slab;
}

/* The slab's last block was freed. */
static __attribute__((noinline)) void remove_slab(struct ml_pool *pool, struct ml_slab *slab)
{
    struct ml_arena *arena = arena_of(slab);
    ml_list_remove(&slab->link);
    ml_list_insert(arena->idle.next, &slab->link);
    pool->slabs_in_use--;
    pool->idle_slabs++;
    if (arena->in_use-- == ARENA_SLABS)
        ml_list_insert(&pool->arenas, &arena->link);
    pool->empty_arenas += arena->in_use == 0;
    if (arena->in_use == 0 && pool->empty_arenas > EMPTY_ARENAS_KEPT)
        unmap_arena(pool, arena);
    consider_idle(pool);
}

static void take_back(struct ml_pool *pool);

/* One empty slab of each size may be left. */
void ml_pool_release(struct ml_pool *pool)
{
    take_back(pool);
    while (pool->kept_count > 0)
        free(pool->kept[--pool->kept_count].memory);
    for (size_t i = 0; i < sizeof pool->slabs / sizeof *pool->slabs; i++)
        while (!ml_list_is_empty(&pool->slabs[i]))
            remove_slab(pool, ml_container_of(pool->slabs[i].next, struct ml_slab, link));
    while (!ml_list_is_empty(&pool->arenas))
        unmap_arena(pool, ml_container_of(pool->arenas.next, struct ml_arena, link));
    ml_arena_set_release(&pool->arenas_made);
}

/* ---- blocks ---- */

static void *take_block(struct ml_slab *slab)
{
    void *block = slab->free;
    if (block != NULL) {
        memcpy(&slab->free, block, sizeof slab->free);
    } else {
        block = (char *)slab - (uintptr_t)slab % SLAB_SIZE + slab->fresh;
        slab->fresh += slab->step;
    }
    slab->in_use++;
    return block;
}

static bool is_full(const struct ml_slab *slab)
{
    return slab->free == NULL && slab->fresh + slab->step > SLAB_SIZE;
}

static void *allocate(struct ml_pool *pool, size_t size)
{
    size_t index = (size + ML_POOL_STEP - 1) / ML_POOL_STEP;
    struct ml_slab *slab = ml_container_of(pool->slabs[index].next, struct ml_slab, link);
    if (ml_unlikely(ml_list_is_empty(&pool->slabs[index])) &&
        (slab = add_slab(pool, index)) == NULL)
        return NULL;
    void *block = take_block(slab);
    if (ml_unlikely(is_full(slab)))
        ml_list_remove(&slab->link);
    return block;
}

static void release(struct ml_pool *pool, void *block)
{
    struct ml_slab *slab = slab_of(block);
    struct ml_link *slabs = &pool->slabs[slab->step / ML_POOL_STEP];
    memcpy(block, &slab->free, sizeof slab->free);
    slab->free = block;
    if (ml_unlikely(!ml_link_is_in_list(&slab->link)))
        ml_list_insert(slabs, &slab->link);
    /* The only slab of a size stays: a next block of the size is likely soon. */
    if (ml_unlikely(--slab->in_use == 0) && slabs->next != slabs->prev)
        remove_slab(pool, slab);
}

static bool is_small(size_t size)
{
    return IS_POOLED && size <= ML_POOL_LARGEST;
}

/*
 * Data streams as strings of one size. Without this each would be a new piece at the heap's end,
 * cleared by the kernel and soon given back to it (measured: a quarter of the CPU of a copy loop,
 * 64 KiB at a time).
 */
static bool may_be_kept(size_t size)
{
    return IS_POOLED && size >= ML_POOL_KEPT_LEAST && size <= ML_POOL_KEPT_MOST;
}

static void *obtain_large(struct ml_pool *pool, size_t size)
{
    for (uint32_t i = pool->kept_count; may_be_kept(size) && i-- > 0;) {
        if (pool->kept[i].size != size)
            continue;
        void *memory = pool->kept[i].memory;
        pool->kept[i] = pool->kept[--pool->kept_count];
        return memory;
    }
    return malloc(size);
}

static void dispose_large(struct ml_pool *pool, void *block, size_t size)
{
    if (may_be_kept(size) && pool->kept_count < ML_POOL_KEPT)
        pool->kept[pool->kept_count++] = (struct ml_kept_block){block, size};
    else
        free(block);
}

static void *obtain(struct ml_pool *pool, size_t size)
{
    return is_small(size) ? allocate(pool, size) : obtain_large(pool, size);
}

static void dispose(struct ml_pool *pool, void *block, size_t size)
{
    if (is_small(size))
        release(pool, block);
    else
        dispose_large(pool, block, size);
}

static bool have_same_step(size_t a, size_t b)
{
    return (a + ML_POOL_STEP - 1) / ML_POOL_STEP == (b + ML_POOL_STEP - 1) / ML_POOL_STEP;
}

static void *resize(struct ml_pool *pool, void *block, size_t old_size, size_t size)
{
    if (!is_small(old_size) && !is_small(size))
        return realloc(block, size);
    if (is_small(old_size) && is_small(size) && have_same_step(old_size, size))
        return block;
    void *moved = obtain(pool, size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, old_size < size ? old_size : size);
    dispose(pool, block, old_size);
    return moved;
}

static inline void *realloc_own(struct ml_pool *pool, void *block, size_t old_size, size_t size)
{
    if (ml_likely(size > 0))
        return block == NULL ? obtain(pool, size) : resize(pool, block, old_size, size);
    if (block != NULL)
        dispose(pool, block, old_size);
    return NULL;
}

/* ---- other threads ---- */

static bool is_in_slab(const struct ml_pool *pool, const void *block, size_t size)
{
    uintptr_t arena = (uintptr_t)block & ~(uintptr_t)(ARENA_SIZE - 1);
    return is_small(size) && ml_arena_set_has(&pool->arenas_made, arena);
}

/* Frees the blocks that other threads gave back. */
static void take_back(struct ml_pool *pool)
{
    void *block = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    if (block != NULL)
        block = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    while (block != NULL) {
        void *next;
        memcpy(&next, block, sizeof next);
        release(pool, block);
        block = next;
    }
}

static void give_back(struct ml_pool *pool, void *block)
{
    void *first = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    do
        memcpy(block, &first, sizeof first);
    while (!atomic_compare_exchange_weak_explicit(&pool->returned, &first, block,
                                                  memory_order_release, memory_order_relaxed));
}

static void *realloc_plainly(void *block, size_t size)
{
    if (size > 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

/* On another thread. A block that shrinks never fails, as Lua demands. */
static void *realloc_elsewhere(struct ml_pool *pool, void *block, size_t old_size, size_t size)
{
    if (block == NULL || !is_in_slab(pool, block, old_size))
        return realloc_plainly(block, size);
    void *moved = size > 0 ? malloc(size) : NULL;
    if (size > 0 && moved == NULL)
        return size <= old_size ? block : NULL;
    if (moved != NULL)
        memcpy(moved, block, old_size < size ? old_size : size);
    give_back(pool, block);
    return moved;
}

static __attribute__((noinline)) void *realloc_with_care(struct ml_pool *pool, void *block,
                                                         size_t old_size, size_t size)
{
    if (pool->allocator != NULL)
        return pool->allocator(pool->allocator_context, block, block != NULL ? old_size : 0, size);
    if (pool->thread != ml_thread_self()) {
        atomic_store_explicit(&pool->owner, NULL, memory_order_relaxed);
        return realloc_elsewhere(pool, block, old_size, size);
    }
    take_back(pool);
    bool is_others = block != NULL && is_small(old_size) && !is_in_slab(pool, block, old_size);
    return is_others ? realloc_plainly(block, size) : realloc_own(pool, block, old_size, size);
}

void *ml_pool_realloc(void *owner, void *block, size_t old_size, size_t size)
{
    struct ml_pool *pool = owner;
    void *thread = atomic_load_explicit(&pool->owner, memory_order_relaxed);
    return ml_likely(thread == ml_thread_self()) ? realloc_own(pool, block, old_size, size)
                                                 : realloc_with_care(pool, block, old_size, size);
}
