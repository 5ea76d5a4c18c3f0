/* The state of an encoder of JSON. Nesting is kept in levels of our own, not on the C stack. */
#ifndef ML_BINDINGS_DATA_JSON_ENCODER_H
#define ML_BINDINGS_DATA_JSON_ENCODER_H

#include "bindings/data/json_output.h"

enum { ML_JSON_FIRST_LEVELS = 32 };

/* Slots of a level: the table, its sorted names or nil, the current key. */
enum { ML_JSON_TABLE, ML_JSON_NAMES, ML_JSON_KEY, ML_JSON_LEVEL_SLOTS };

/* Slots of the encoder, below them. */
enum { ML_JSON_BLOCK = 1, ML_JSON_LEVELS, ML_JSON_FIRST_LEVEL };

enum ml_json_shape { ML_JSON_ARRAY, ML_JSON_OBJECT, ML_JSON_SORTED_OBJECT };

struct ml_json_writing {
    int max_depth;
    bool sorts_keys;
    const char *indent; /* of one level; NULL: all in one line */
    size_t indent_size;
};

struct ml_json_level {
    lua_Integer index; /* of an array: the current item; of an object: how many so far */
    lua_Integer count; /* of an array whose items are not in order in the table; else 0 */
    enum ml_json_shape shape;
};

struct ml_json_encoder {
    lua_State *L;
    struct ml_json_writing how;
    int base; /* its slots follow */
    struct ml_json_output out;
    const void *null, *array_type;
    struct ml_json_level *levels, *level;
    int depth, room;
    struct ml_json_level first_levels[ML_JSON_FIRST_LEVELS];
};

/* The slot of a level, the innermost of which is e->depth. */
static inline int ml_json_slot(const struct ml_json_encoder *e, int depth, int which)
{
    return e->base + ML_JSON_FIRST_LEVEL + (depth - 1) * ML_JSON_LEVEL_SLOTS + which;
}

#endif
