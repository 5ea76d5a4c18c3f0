/*
 * A parcel while it is packed: a block that grows, the tables and functions that are being packed
 * inside each other, and those that were met before. Knows no kind of value.
 */
#ifndef ML_BINDINGS_THREAD_PACKER_H
#define ML_BINDINGS_THREAD_PACKER_H

#include "base/check.h"
#include "bindings/thread/parcel.h"

#include <stdlib.h>
#include <string.h>

/* A table or a function that is being packed. On the Lua stack it has itself, and a table the key
 * that was reached; and the value of that key, while the key itself is packed. */
struct ml_pack_level {
    size_t offset; /* of its header among the bytes */
    enum { ML_PACK_TABLE, ML_PACK_FUNCTION } kind;
    bool is_keyed;      /* a table, beyond its items */
    bool value_is_left; /* of a key that was packed */
    uint32_t items;     /* packed; of a function: upvalues */
    uint32_t keyed;
};

/* A table, a function or an upvalue that was met. */
struct ml_pack_entry {
    const void *address; /* NULL: the place is free */
    size_t offset;       /* of the header; of an upvalue: of its function's */
    uint32_t upvalue;    /* which of them; 0: it is none */
};

struct ml_packer {
    lua_State *L;
    struct ml_parcel *parcel;
    size_t size, capacity; /* of its bytes */
    struct ml_pack_level *levels;
    uint32_t depth, most_levels;
    struct ml_pack_entry *entries; /* a hash table; NULL: nothing was met */
    uint32_t entry_count, entry_mask;
    const void *cache[ML_PARCEL_CACHE]; /* short strings */
    const void *globals;
    int loaded; /* the index of package.loaded on the stack */
    int root;   /* the value that is packed, counted from 0 */
};

/* All of it but the parcel itself. */
void ml_packer_release(struct ml_packer *p);

/* Makes room for `size` more bytes. False: no memory. */
bool ml_packer_grow(struct ml_packer *p, size_t size);

/* Where to write `size` bytes, which count from now on. NULL: no memory. */
static inline char *ml_packer_extend(struct ml_packer *p, size_t size)
{
    if (ml_unlikely(p->capacity - p->size < size) && !ml_packer_grow(p, size))
        return NULL;
    char *place = p->parcel->bytes + p->size;
    p->size += size;
    return place;
}

static inline bool ml_packer_add(struct ml_packer *p, const void *data, size_t size)
{
    char *place = ml_packer_extend(p, size);
    if (ml_likely(place != NULL))
        memcpy(place, data, size);
    return place != NULL;
}

static inline bool ml_packer_add_tag(struct ml_packer *p, enum ml_parcel_tag tag)
{
    char byte = (char)tag;
    return ml_packer_add(p, &byte, 1);
}

/* A new innermost level. NULL: no memory. */
struct ml_pack_level *ml_packer_push(struct ml_packer *p);

/* The entry of an address, new if its `offset` is SIZE_MAX. NULL: no memory. */
struct ml_pack_entry *ml_packer_find(struct ml_packer *p, const void *address);

/* The number by which the table or function at that offset is named again. */
uint32_t ml_packer_number(struct ml_packer *p, size_t offset);

/* The parcel becomes an owner of the channel. False: no memory. */
bool ml_packer_add_channel(struct ml_packer *p, struct ml_thread_channel *channel);

/* The path of the value that cannot be packed, such as ".users[3].f", in `text`. */
void ml_packer_path(struct ml_packer *p, char *text, size_t size);

#endif
