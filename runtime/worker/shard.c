#include "worker/shard.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>

enum { CELL_BYTES = sizeof(((struct ml_cell *)0)->bytes) };

/* ---- hashes ---- */

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* As wyhash does: eight bytes at a time are multiplied into the state, with a secret seed, as keys
 * may come from outside. */
uint64_t ml_shard_hash(const struct ml_arena *arena, const char *key, size_t size)
{
    const uint64_t *seed = arena->head->seed;
    uint64_t state = seed[0] ^ 0x9E3779B97F4A7C15u, word;
    size_t left = size;
    for (; left >= sizeof word; left -= sizeof word, key += sizeof word) {
        memcpy(&word, key, sizeof word);
        state = fold(state ^ word, seed[1] ^ 0xD1B54A32D192ED03u);
    }
    word = 0;
    memcpy(&word, key, left);
    state = fold(state ^ word, seed[1] ^ 0x8BB84B93962EACC9u);
    return fold(state ^ size, 0xE7037ED1A0B428DBu);
}

/* ---- cells ---- */

static uint32_t take_cell(struct ml_locked *l)
{
    struct ml_shard *shard = l->shard;
    uint32_t cell = shard->free_first;
    if (cell != 0)
        shard->free_first = l->cells[cell].cell.next;
    else
        cell = shard->untouched++;
    shard->free_count--;
    return cell;
}

static void free_cell(struct ml_locked *l, uint32_t cell)
{
    l->cells[cell].cell.next = l->shard->free_first;
    l->shard->free_first = cell;
    l->shard->free_count++;
}

static void free_entry(struct ml_locked *l, uint32_t index)
{
    uint32_t more = ml_shard_entry(l, index)->more;
    while (more != 0) {
        uint32_t next = l->cells[more].cell.next;
        free_cell(l, more);
        more = next;
    }
    free_cell(l, index);
    l->shard->entry_count--;
}

uint64_t ml_entry_cells(size_t key_size, size_t value_size)
{
    uint64_t size = (uint64_t)key_size + value_size;
    return size <= ML_ENTRY_INLINE ? 1 : 1 + (size - ML_ENTRY_INLINE + CELL_BYTES - 1) / CELL_BYTES;
}

/* ---- bytes of an entry ---- */

/* A place in the bytes of an entry. */
struct place {
    const struct ml_locked *l;
    char *at;
    size_t left;    /* in this cell */
    uint32_t *next; /* the index of the next cell */
};

static struct place start_of(const struct ml_locked *l, uint32_t index)
{
    struct ml_entry *entry = ml_shard_entry(l, index);
    return (struct place){l, entry->bytes, ML_ENTRY_INLINE, &entry->more};
}

static void go_to_next_cell(struct place *place)
{
    struct ml_cell *cell = &place->l->cells[*place->next].cell;
    place->at = cell->bytes;
    place->left = CELL_BYTES;
    place->next = &cell->next;
}

static void skip(struct place *place, size_t size)
{
    while (size > place->left) {
        size -= place->left;
        go_to_next_cell(place);
    }
    place->at += size;
    place->left -= size;
}

static void read_bytes(struct place *place, char *to, size_t size)
{
    while (size > 0) {
        if (place->left == 0)
            go_to_next_cell(place);
        size_t part = size < place->left ? size : place->left;
        memcpy(to, place->at, part);
        skip(place, part);
        to += part;
        size -= part;
    }
}

static void write_bytes(struct ml_locked *l, struct place *place, struct ml_span span)
{
    while (span.size > 0) {
        if (place->left == 0) {
            *place->next = take_cell(l);
            go_to_next_cell(place);
            *place->next = 0;
        }
        size_t part = span.size < place->left ? span.size : place->left;
        memcpy(place->at, span.bytes, part);
        skip(place, part);
        span.bytes += part;
        span.size -= part;
    }
}

void ml_entry_read(const struct ml_locked *l, uint32_t entry, size_t offset, char *to, size_t size)
{
    struct place place = start_of(l, entry);
    skip(&place, offset);
    read_bytes(&place, to, size);
}

static bool has_key(const struct ml_locked *l, uint32_t index, const char *key, size_t size)
{
    struct place place = start_of(l, index);
    bool is_equal = true;
    while (is_equal && size > 0) {
        if (place.left == 0)
            go_to_next_cell(&place);
        size_t part = size < place.left ? size : place.left;
        is_equal = memcmp(key, place.at, part) == 0;
        skip(&place, part);
        key += part;
        size -= part;
    }
    return is_equal;
}

/* ---- buckets ---- */

static uint32_t *bucket_of(const struct ml_locked *l, uint32_t hash)
{
    return &l->buckets[hash & (l->arena->head->bucket_count - 1)];
}

/* Where the index of an entry stands that is in a bucket. */
static uint32_t *link_to(const struct ml_locked *l, uint32_t index)
{
    uint32_t *link = bucket_of(l, ml_shard_entry(l, index)->hash);
    while (*link != index)
        link = &ml_shard_entry(l, *link)->next;
    return link;
}

void ml_entry_remove(struct ml_locked *l, uint32_t entry)
{
    ml_publish_index(link_to(l, entry), ml_shard_entry(l, entry)->next);
    free_entry(l, entry);
}

uint32_t ml_shard_find(struct ml_locked *l, const char *key, size_t size)
{
    for (uint32_t index = *bucket_of(l, l->hash); index != 0;) {
        const struct ml_entry *entry = ml_shard_entry(l, index);
        if (entry->hash == l->hash && entry->key_size == size && has_key(l, index, key, size)) {
            if (ml_likely(entry->expires > l->now))
                return index;
            ml_entry_remove(l, index);
            return 0;
        }
        index = entry->next;
    }
    return 0;
}

uint32_t ml_entry_make(struct ml_locked *l, struct ml_span key, const struct ml_span value[2])
{
    uint32_t index = take_cell(l);
    struct ml_entry *entry = ml_shard_entry(l, index);
    *entry = (struct ml_entry){.hash = l->hash,
                               .key_size = (uint32_t)key.size,
                               .version = ++l->shard->version,
                               .value_size = (uint32_t)(value[0].size + value[1].size),
                               .expires = ML_FOREVER,
                               .is_used = 1};
    struct place place = start_of(l, index);
    write_bytes(l, &place, key);
    write_bytes(l, &place, value[0]);
    write_bytes(l, &place, value[1]);
    return index;
}

void ml_entry_publish(struct ml_locked *l, uint32_t index, uint32_t old)
{
    struct ml_entry *entry = ml_shard_entry(l, index);
    uint32_t *link = old != 0 ? link_to(l, old) : bucket_of(l, l->hash);
    entry->next = old != 0 ? ml_shard_entry(l, old)->next : *link;
    ml_shard_note_expiry(l, entry->expires);
    ml_publish_index(link, index);
    l->shard->entry_count++;
    if (old != 0)
        free_entry(l, old);
}

/* ---- room ---- */

/* Removes what has expired, and finds when the next one does. */
static void sweep(struct ml_locked *l)
{
    l->shard->first_expires = ML_FOREVER;
    for (uint32_t bucket = 0; bucket < l->arena->head->bucket_count; bucket++)
        for (uint32_t index = l->buckets[bucket]; index != 0;) {
            uint32_t next = ml_shard_entry(l, index)->next;
            if (ml_shard_entry(l, index)->expires <= l->now)
                ml_entry_remove(l, index);
            else
                ml_shard_note_expiry(l, ml_shard_entry(l, index)->expires);
            index = next;
        }
}

/* Removes the first entry of the bucket that was not used since the hand came by. */
static bool evict_from(struct ml_locked *l, uint32_t bucket, uint32_t kept)
{
    for (uint32_t index = l->buckets[bucket]; index != 0; index = ml_shard_entry(l, index)->next) {
        struct ml_entry *entry = ml_shard_entry(l, index);
        if (index != kept && !entry->is_used) {
            ml_entry_remove(l, index);
            return true;
        }
        entry->is_used = 0;
    }
    return false;
}

/* The hand goes around twice at most: the first round takes the marks off. */
static bool evict_one(struct ml_locked *l, uint32_t kept)
{
    uint32_t count = l->arena->head->bucket_count, *hand = &l->shard->hand;
    for (uint64_t i = 0; i <= 2 * (uint64_t)count; i++) {
        if (evict_from(l, *hand, kept))
            return true;
        *hand = (*hand + 1) & (count - 1);
    }
    return false;
}

int ml_shard_reserve(struct ml_locked *l, uint64_t cells, uint32_t kept)
{
    if (ml_likely(cells <= l->shard->free_count))
        return 0;
    if (cells >= l->arena->head->cell_count)
        return -ENOSPC;
    if (l->shard->first_expires <= l->now)
        sweep(l);
    while (cells > l->shard->free_count && l->arena->head->evicts && evict_one(l, kept))
        continue;
    return cells <= l->shard->free_count ? 0 : -ENOSPC;
}
