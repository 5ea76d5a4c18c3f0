/*
 * A shard while this process holds its lock: cells, chains of bytes, entries. Every change is
 * published by one store into a bucket or an entry, so that a process that is killed leaves a table
 * that is whole, and at most cells that belong to nobody: the next owner finds them. Knows no
 * operation of the store.
 */
#ifndef ML_WORKER_SHARD_H
#define ML_WORKER_SHARD_H

#include "worker/arena.h"

#include <stdatomic.h>

/* Bytes, as the caller has them. */
struct ml_span {
    const char *bytes;
    size_t size;
};

/* The shard that is locked, and what is looked for in it. */
struct ml_locked {
    const struct ml_arena *arena;
    struct ml_shard *shard;
    union ml_slab_cell *cells;
    uint32_t *buckets;
    uint32_t hash;
    ml_time now;
};

/* The hash of a key: the higher half chooses the shard. */
uint64_t ml_shard_hash(const struct ml_arena *arena, const char *key, size_t size);

/*
 * Locks the shard of that number, and mends it if its last owner has died. Spins for 50 us at most:
 * -EBUSY, the caller waits as it can and comes again. Never suspends.
 */
int ml_shard_lock(struct ml_locked *l, const struct ml_arena *arena, uint32_t number, ml_time now);
void ml_shard_unlock(struct ml_locked *l);

/* Rebuilds the free list and the counts from the entries that the buckets lead to; chains that lead
 * astray are cut off. */
void ml_shard_mend(struct ml_locked *l);

/* How many cells an entry takes. */
uint64_t ml_entry_cells(size_t key_size, size_t value_size);

/* The index of an entry that has not expired; 0: there is none. One that has is removed. */
uint32_t ml_shard_find(struct ml_locked *l, const char *key, size_t size);

/* Makes room for `cells`: removes what has expired, then evicts if the arena does so, but not the
 * entry `kept`. -ENOSPC: there is none. */
int ml_shard_reserve(struct ml_locked *l, uint64_t cells, uint32_t kept);

/* A new entry, which no bucket leads to yet; there is room. value: two pieces. */
uint32_t ml_entry_make(struct ml_locked *l, struct ml_span key, const struct ml_span value[2]);

/* Publishes an entry: by one store it replaces `old`, whose cells are freed then (0: there is no
 * entry of that key). */
void ml_entry_publish(struct ml_locked *l, uint32_t entry, uint32_t old);

/* Removes an entry by one store, and frees its cells. */
void ml_entry_remove(struct ml_locked *l, uint32_t entry);

/* Copies `size` bytes of an entry's key and value, from `offset` on. */
void ml_entry_read(const struct ml_locked *l, uint32_t entry, size_t offset, char *to, size_t size);

/* Notes that an entry expires then. */
static inline void ml_shard_note_expiry(struct ml_locked *l, ml_time expires)
{
    if (expires < l->shard->first_expires)
        l->shard->first_expires = expires;
}

static inline struct ml_entry *ml_shard_entry(const struct ml_locked *l, uint32_t index)
{
    return &l->cells[index].entry;
}

/* One store that other owners see, if this process dies, after all that came before it. */
static inline void ml_publish_index(uint32_t *place, uint32_t index)
{
    __atomic_store_n(place, index, __ATOMIC_RELEASE);
}

static inline void ml_publish_word(uint64_t *place, uint64_t word)
{
    __atomic_store_n(place, word, __ATOMIC_RELEASE);
}

#endif
