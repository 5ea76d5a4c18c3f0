/*
 * The memory of a shared store: a memfd that several processes map, divided into shards, each a
 * hash table of entries made of cells of one size. A process may be
 * killed at any instruction while it holds a shard's lock: the next one mends the shard. Knows keys
 * and values as bytes only.
 */
#ifndef ML_WORKER_ARENA_H
#define ML_WORKER_ARENA_H

#include "base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rises with every change of what lies in the memory. */
enum { ML_ARENA_VERSION = 1 };

enum { ML_CELL_SIZE = 64, ML_ENTRY_INLINE = 16 };

/* Bounds of the size of an arena, in bytes. */
#define ML_ARENA_SMALLEST ((size_t)64 << 10)
#define ML_ARENA_LARGEST ((size_t)1 << 40)

/* The first cell of an entry. Key and value follow one another, first in `bytes`, then in the cells
 * from `more` on. */
struct ml_entry {
    uint32_t next; /* in its bucket; 0: the last one */
    uint32_t more; /* 0: all is in `bytes` */
    uint32_t hash;
    uint32_t key_size;
    uint64_t version;    /* another one with each change */
    uint64_t word;       /* the value, if it is a number */
    ml_time expires;     /* ML_FOREVER: never */
    uint32_t value_size; /* of a value of bytes */
    uint8_t kind;        /* ml_store_kind */
    uint8_t is_used;     /* since the eviction's hand came by */
    char bytes[ML_ENTRY_INLINE];
};

/* Another cell of an entry, or a free one. */
struct ml_cell {
    uint32_t next;
    char bytes[ML_CELL_SIZE - sizeof(uint32_t)];
};

union ml_slab_cell {
    struct ml_entry entry;
    struct ml_cell cell;
    char whole[ML_CELL_SIZE];
};

/* Cell 0 is none: an index of 0 ends a chain. */
struct ml_shard {
    pthread_mutex_t mutex; /* robust, of several processes */
    uint32_t free_first;   /* a list of cells */
    uint32_t free_count;   /* with those that were never used */
    uint32_t untouched;    /* from there on cells were never used: their pages take no memory */
    uint64_t version;      /* the last that an entry got */
    ml_time first_expires; /* no entry expires before */
    uint32_t entry_count;
    uint32_t hand; /* the bucket where eviction goes on */
} __attribute__((aligned(64)));

struct ml_arena_head {
    char magic[8];
    uint32_t version;
    uint32_t lock_size; /* of a mutex of this libc */
    uint64_t size;      /* of all of it */
    uint64_t shard_size, first_shard;
    uint32_t shard_count;
    uint32_t cell_count, bucket_count; /* of a shard; buckets: a power of 2 */
    uint32_t evicts;                   /* the oldest make room for new ones */
    uint64_t seed[2];                  /* of the hashes */
};

/* One process's view. */
struct ml_arena {
    struct ml_arena_head *head; /* the mapping */
    size_t size;
    int fd;
};

/* Makes an arena of `size` bytes, which the caller has checked. fd: of a new memfd, closed by
 * ml_arena_close(). Errors: -ENOMEM, -EMFILE, -ENFILE, -EINVAL for a size out of bounds. */
int ml_arena_make(struct ml_arena *arena, const char *name, size_t size, bool evicts);

/*
 * Maps the memory behind a descriptor, which it owns from then on, also if it fails. Memory that is
 * all zeros becomes an arena; `evicts` is for that. -EPROTO: it is no arena, or one of another
 * version; -EBUSY: another process makes an arena of it just now; -ENOMEM.
 */
int ml_arena_attach(struct ml_arena *arena, int fd, bool evicts);

void ml_arena_close(struct ml_arena *arena);

/* ---- inside a shard: for worker/store.c and worker/shard.c ---- */

static inline struct ml_shard *ml_arena_shard(const struct ml_arena *arena, uint32_t number)
{
    const struct ml_arena_head *head = arena->head;
    return (struct ml_shard *)((char *)head + head->first_shard + number * head->shard_size);
}

/* An index of the first entry for each bucket. */
static inline uint32_t *ml_shard_buckets(struct ml_shard *shard)
{
    return (uint32_t *)(shard + 1);
}

static inline union ml_slab_cell *ml_shard_cells(const struct ml_arena *arena,
                                                 struct ml_shard *shard)
{
    const struct ml_arena_head *head = arena->head;
    char *end = (char *)shard + head->shard_size;
    return (union ml_slab_cell *)(end - (size_t)head->cell_count * ML_CELL_SIZE);
}

/* A byte for each cell, for the mending. */
static inline char *ml_shard_marks(const struct ml_arena *arena, struct ml_shard *shard)
{
    return (char *)(ml_shard_buckets(shard) + arena->head->bucket_count);
}

#endif
