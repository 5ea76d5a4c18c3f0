/*
 * The operations of a shared store, each atomic over all processes that have its arena mapped.
 * None suspends the task; each returns -EBUSY if another process has kept the shard locked for
 * 50 us: the caller waits and calls again. Knows values as numbers or bytes, and no Lua.
 */
#ifndef ML_WORKER_STORE_H
#define ML_WORKER_STORE_H

#include "worker/shard.h"

/* Kinds of values. Those from ML_STORE_BYTES on are the caller's, and are bytes to the store. */
enum ml_store_kind { ML_STORE_INTEGER, ML_STORE_NUMBER, ML_STORE_BYTES };

/* The longest key, in bytes. */
enum { ML_STORE_LONGEST_KEY = 4096 };

/* A value to be stored: a number in `word`, or two pieces of bytes. */
struct ml_store_value {
    uint8_t kind;
    uint64_t word;
    struct ml_span bytes[2];
};

/* A value that was read. block: from malloc(), for the caller to free, with `reserve` bytes before
 * those of the value; NULL for a number. */
struct ml_store_copy {
    uint8_t kind;
    uint64_t word;
    uint64_t version; /* another one after each change of the entry */
    ml_time expires;
    char *block;
    size_t size;
};

/* What a write asks for. */
struct ml_store_write {
    enum {
        ML_STORE_SET,  /* in any case */
        ML_STORE_ADD,  /* if there is no such key */
        ML_STORE_SWAP, /* if the entry has this version; it keeps its time to live */
    } way;
    uint64_t version;
    ml_time expires; /* ML_FOREVER: never */
    bool keeps_expiry;
};

struct ml_store {
    struct ml_arena arena;
};

/* -ENOENT: there is no such key. -ENOMEM. */
int ml_store_get(struct ml_store *store, struct ml_span key, ml_time now, size_t reserve,
                 struct ml_store_copy *copy);

/* -ENOSPC: full. -EEXIST: not added. -EAGAIN: not swapped, the entry is another one, or gone. */
int ml_store_put(struct ml_store *store, struct ml_span key, const struct ml_store_value *value,
                 const struct ml_store_write *write, ml_time now);

/* Adds `by`, a number, to the number there, or to 0; expires: for a key that is new. *sum: the
 * result. -EINVAL: the value is not a number. -ERANGE: the sum of the integers is none; nothing
 * was changed. -ENOSPC. */
int ml_store_add_number(struct ml_store *store, struct ml_span key, const struct ml_store_value *by,
                        ml_time expires, ml_time now, struct ml_store_value *sum);

/* version: that the entry must have; 0: any. -ENOENT; -EAGAIN: it has another version. */
int ml_store_delete(struct ml_store *store, struct ml_span key, uint64_t version, ml_time now);

/* Keys that were collected: each is a uint32_t, its length, and its bytes. */
struct ml_store_keys {
    char *bytes; /* from malloc() */
    size_t size, capacity;
    uint32_t count;
};

/*
 * Adds to `keys` the next keys that begin with `prefix`, and moves *position (0 at first) on; 1:
 * there may be more, 0: that was all. Between two calls keys may come and go: one that is there all
 * the time is met exactly once. -ENOMEM: *position has not moved past what is missing.
 */
int ml_store_collect(struct ml_store *store, struct ml_span prefix, ml_time now, uint64_t *position,
                     struct ml_store_keys *keys);

struct ml_store_usage {
    uint64_t size, used; /* bytes, of cells */
    uint64_t entries;    /* also those that have expired, until their room is needed */
};

int ml_store_measure(struct ml_store *store, struct ml_store_usage *usage);

#endif
