/*
 * A text of JSON while it is written: it grows in a block of Lua's, so that an error leaves nothing
 * behind.
 */
#ifndef ML_BINDINGS_DATA_JSON_OUTPUT_H
#define ML_BINDINGS_DATA_JSON_OUTPUT_H

#include <lua.h>
#include <stdbool.h>
#include <string.h>

enum { ML_JSON_FIRST_BYTES = 2048 };

struct ml_json_output {
    lua_State *L;
    int block; /* the slot of L that holds the block, once there is one */
    char *text;
    size_t size, capacity;
    char first[ML_JSON_FIRST_BYTES];
};

static inline void ml_json_output_init(struct ml_json_output *o, lua_State *L, int block)
{
    o->L = L;
    o->block = block;
    o->text = o->first;
    o->size = 0;
    o->capacity = ML_JSON_FIRST_BYTES;
}

/* The rest of ml_json_reserve(). Raises without memory. */
void ml_json_output_grow(struct ml_json_output *o, size_t size);

/* Returns a place for `size` bytes. */
static inline char *ml_json_reserve(struct ml_json_output *o, size_t size)
{
    if (__builtin_expect(o->capacity - o->size < size, 0))
        ml_json_output_grow(o, size);
    return o->text + o->size;
}

static inline void ml_json_put(struct ml_json_output *o, const char *data, size_t size)
{
    memcpy(ml_json_reserve(o, size), data, size);
    o->size += size;
}

static inline void ml_json_put_byte(struct ml_json_output *o, char byte)
{
    *ml_json_reserve(o, 1) = byte;
    o->size++;
}

/* Writes it in quotes. False: it is not UTF-8. */
bool ml_json_put_string(struct ml_json_output *o, const char *text, size_t size);

#endif
