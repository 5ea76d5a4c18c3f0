#include "worker/store.h"

#include "base/check.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int lock_for(struct ml_locked *l, struct ml_store *store, struct ml_span key, ml_time now)
{
    uint64_t hash = ml_shard_hash(&store->arena, key.bytes, key.size);
    uint32_t number = (uint32_t)(hash >> 32) & (store->arena.head->shard_count - 1);
    l->hash = (uint32_t)hash;
    return ml_shard_lock(l, &store->arena, number, now);
}

/* ---- reading ---- */

static int copy_entry(const struct ml_locked *l, uint32_t index, size_t reserve,
                      struct ml_store_copy *copy)
{
    struct ml_entry *entry = ml_shard_entry(l, index);
    *copy = (struct ml_store_copy){.kind = entry->kind,
                                   .word = entry->word,
                                   .version = entry->version,
                                   .expires = entry->expires,
                                   .size = entry->value_size};
    entry->is_used = 1;
    if (entry->kind < ML_STORE_BYTES)
        return 0;
    copy->block = malloc(reserve + copy->size + 1);
    if (copy->block == NULL)
        return -ENOMEM;
    ml_entry_read(l, index, entry->key_size, copy->block + reserve, copy->size);
    return 0;
}

int ml_store_get(struct ml_store *store, struct ml_span key, ml_time now, size_t reserve,
                 struct ml_store_copy *copy)
{
    struct ml_locked l;
    int error = lock_for(&l, store, key, now);
    if (error != 0)
        return error;
    uint32_t index = ml_shard_find(&l, key.bytes, key.size);
    error = index != 0 ? copy_entry(&l, index, reserve, copy) : -ENOENT;
    ml_shard_unlock(&l);
    return error;
}

/* ---- writing ---- */

/* A number in place of a number: its word is the one store that publishes it. */
static void write_word(struct ml_locked *l, struct ml_entry *entry, uint64_t word)
{
    entry->is_used = 1;
    ml_publish_word(&entry->version, ++l->shard->version);
    ml_publish_word(&entry->word, word);
}

/* Writes an entry of that value in the place of `old`, if that is not 0. Where there is no room for
 * both, `old` goes first if the store evicts. */
static int replace(struct ml_locked *l, struct ml_span key, const struct ml_store_value *value,
                   ml_time expires, uint32_t old)
{
    static const struct ml_span none[2];
    const struct ml_span *bytes = value->kind < ML_STORE_BYTES ? none : value->bytes;
    size_t size = bytes[0].size + bytes[1].size;
    if (size < bytes[0].size || size > UINT32_MAX)
        return -ENOSPC;
    int error = ml_shard_reserve(l, ml_entry_cells(key.size, size), old);
    if (error == -ENOSPC && old != 0 && l->arena->head->evicts) {
        ml_entry_remove(l, old);
        old = 0;
        error = ml_shard_reserve(l, ml_entry_cells(key.size, size), 0);
    }
    if (error != 0)
        return error;
    uint32_t index = ml_entry_make(l, key, bytes);
    struct ml_entry *entry = ml_shard_entry(l, index);
    entry->kind = value->kind;
    entry->word = value->word;
    entry->expires = expires;
    ml_entry_publish(l, index, old);
    return 0;
}

static int check_way(const struct ml_locked *l, const struct ml_store_write *write, uint32_t index)
{
    if (write->way == ML_STORE_ADD)
        return index != 0 ? -EEXIST : 0;
    bool is_swappable = index != 0 && ml_shard_entry(l, index)->version == write->version;
    return write->way == ML_STORE_SWAP && !is_swappable ? -EAGAIN : 0;
}

static int put(struct ml_locked *l, struct ml_span key, const struct ml_store_value *value,
               const struct ml_store_write *write)
{
    uint32_t index = ml_shard_find(l, key.bytes, key.size);
    int error = check_way(l, write, index);
    if (error != 0)
        return error;
    struct ml_entry *entry = ml_shard_entry(l, index);
    ml_time expires = index != 0 && write->keeps_expiry ? entry->expires : write->expires;
    bool is_in_place = index != 0 && entry->kind == value->kind && value->kind < ML_STORE_BYTES &&
                       entry->expires == expires;
    if (!is_in_place)
        return replace(l, key, value, expires, index);
    write_word(l, entry, value->word);
    return 0;
}

int ml_store_put(struct ml_store *store, struct ml_span key, const struct ml_store_value *value,
                 const struct ml_store_write *write, ml_time now)
{
    struct ml_locked l;
    int error = lock_for(&l, store, key, now);
    if (error != 0)
        return error;
    error = put(&l, key, value, write);
    ml_shard_unlock(&l);
    return error;
}

int ml_store_delete(struct ml_store *store, struct ml_span key, uint64_t version, ml_time now)
{
    struct ml_locked l;
    int error = lock_for(&l, store, key, now);
    if (error != 0)
        return error;
    uint32_t index = ml_shard_find(&l, key.bytes, key.size);
    bool is_wrong = version != 0 && (index == 0 || ml_shard_entry(&l, index)->version != version);
    error = is_wrong ? -EAGAIN : index == 0 ? -ENOENT : 0;
    if (error == 0)
        ml_entry_remove(&l, index);
    ml_shard_unlock(&l);
    return error;
}

/* ---- numbers ---- */

static double number_of(uint8_t kind, uint64_t word)
{
    double number;
    memcpy(&number, &word, sizeof number);
    return kind == ML_STORE_NUMBER ? number : (double)(int64_t)word;
}

/* The sum of two numbers, as Lua adds them, but integers do not wrap around. */
static int add(const struct ml_store_value *by, uint8_t kind, uint64_t word,
               struct ml_store_value *sum)
{
    int64_t whole = 0;
    sum->kind = by->kind == ML_STORE_INTEGER ? kind : ML_STORE_NUMBER;
    if (sum->kind == ML_STORE_INTEGER) {
        if (__builtin_add_overflow((int64_t)word, (int64_t)by->word, &whole))
            return -ERANGE;
        sum->word = (uint64_t)whole;
    } else {
        double number = number_of(kind, word) + number_of(by->kind, by->word);
        memcpy(&sum->word, &number, sizeof number);
    }
    return 0;
}

static int add_to_entry(struct ml_locked *l, uint32_t index, struct ml_span key,
                        const struct ml_store_value *by, struct ml_store_value *sum)
{
    struct ml_entry *entry = ml_shard_entry(l, index);
    int error = entry->kind < ML_STORE_BYTES ? add(by, entry->kind, entry->word, sum) : -EINVAL;
    if (error != 0)
        return error;
    if (ml_unlikely(sum->kind != entry->kind))
        return replace(l, key, sum, entry->expires, index);
    write_word(l, entry, sum->word);
    return 0;
}

int ml_store_add_number(struct ml_store *store, struct ml_span key, const struct ml_store_value *by,
                        ml_time expires, ml_time now, struct ml_store_value *sum)
{
    struct ml_locked l;
    int error = lock_for(&l, store, key, now);
    if (ml_unlikely(error != 0))
        return error;
    uint32_t index = ml_shard_find(&l, key.bytes, key.size);
    *sum = *by;
    error = ml_likely(index != 0) ? add_to_entry(&l, index, key, by, sum)
                                  : replace(&l, key, by, expires, 0);
    ml_shard_unlock(&l);
    return error;
}

/* ---- keys ---- */

/* How many buckets and keys one call looks at while it holds the lock. */
enum { MOST_BUCKETS = 1024, MOST_KEYS = 64 };

static bool grow(struct ml_store_keys *keys, size_t size)
{
    size_t capacity = keys->capacity != 0 ? keys->capacity : 1024;
    while (capacity - keys->size < size)
        capacity *= 2;
    char *bytes = capacity != keys->capacity ? realloc(keys->bytes, capacity) : keys->bytes;
    if (bytes == NULL)
        return false;
    keys->bytes = bytes;
    keys->capacity = capacity;
    return true;
}

static bool has_prefix(const struct ml_locked *l, uint32_t index, struct ml_span prefix)
{
    char start[256];
    size_t size = prefix.size;
    bool is_equal = ml_shard_entry(l, index)->key_size >= size;
    for (size_t at = 0; is_equal && at < size; at += sizeof start) {
        size_t part = size - at < sizeof start ? size - at : sizeof start;
        ml_entry_read(l, index, at, start, part);
        is_equal = memcmp(start, prefix.bytes + at, part) == 0;
    }
    return is_equal;
}

static int collect_one(const struct ml_locked *l, uint32_t index, struct ml_store_keys *keys)
{
    uint32_t size = ml_shard_entry(l, index)->key_size;
    if (!grow(keys, sizeof size + size))
        return -ENOMEM;
    memcpy(keys->bytes + keys->size, &size, sizeof size);
    ml_entry_read(l, index, 0, keys->bytes + keys->size + sizeof size, size);
    keys->size += sizeof size + size;
    keys->count++;
    return 0;
}

/* All keys of a bucket, or none. */
static int collect_bucket(const struct ml_locked *l, uint32_t bucket, struct ml_span prefix,
                          struct ml_store_keys *keys)
{
    struct ml_store_keys before = *keys;
    int error = 0;
    for (uint32_t index = l->buckets[bucket]; error == 0 && index != 0;
         index = ml_shard_entry(l, index)->next)
        if (ml_shard_entry(l, index)->expires > l->now && has_prefix(l, index, prefix))
            error = collect_one(l, index, keys);
    if (error != 0)
        keys->size = before.size, keys->count = before.count;
    return error;
}

int ml_store_collect(struct ml_store *store, struct ml_span prefix, ml_time now, uint64_t *position,
                     struct ml_store_keys *keys)
{
    const struct ml_arena_head *head = store->arena.head;
    uint32_t shard = (uint32_t)(*position / head->bucket_count);
    uint32_t bucket = (uint32_t)(*position % head->bucket_count);
    struct ml_locked l;
    if (shard >= head->shard_count)
        return 0;
    int error = ml_shard_lock(&l, &store->arena, shard, now);
    if (error != 0)
        return error;
    uint32_t end =
        bucket + MOST_BUCKETS < head->bucket_count ? bucket + MOST_BUCKETS : head->bucket_count;
    for (; error == 0 && bucket < end && keys->count < MOST_KEYS; bucket++) {
        error = collect_bucket(&l, bucket, prefix, keys);
        *position += error == 0;
    }
    ml_shard_unlock(&l);
    return error != 0 ? error : *position < (uint64_t)head->shard_count * head->bucket_count;
}

/* ---- how full it is ---- */

int ml_store_measure(struct ml_store *store, struct ml_store_usage *usage)
{
    const struct ml_arena_head *head = store->arena.head;
    struct ml_locked l;
    *usage = (struct ml_store_usage){0};
    for (uint32_t i = 0; i < head->shard_count; i++) {
        int error = ml_shard_lock(&l, &store->arena, i, 0);
        if (error != 0)
            return error;
        usage->size += (uint64_t)(head->cell_count - 1) * ML_CELL_SIZE;
        usage->used += (uint64_t)(head->cell_count - 1 - l.shard->free_count) * ML_CELL_SIZE;
        usage->entries += l.shard->entry_count;
        ml_shard_unlock(&l);
    }
    return 0;
}
