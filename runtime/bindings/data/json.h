/*
 * JSON for Lua values (RFC 8259): what moonlet.json and other modules of C call. Neither of the two
 * uses the C stack for nesting.
 */
#ifndef ML_BINDINGS_DATA_JSON_H
#define ML_BINDINGS_DATA_JSON_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Levels of nesting: unless told otherwise, and at most. */
enum { ML_JSON_DEPTH = 1000, ML_JSON_LARGEST_DEPTH = 100000 };

struct ml_json_reading {
    int max_depth;
    bool drops_nulls;
    lua_Integer first_line; /* the number of the text's first line */
};

struct ml_json_writing {
    int max_depth;
    bool sorts_keys;
    const char *indent; /* of one level; NULL: all in one line */
    size_t indent_size;
};

/* Registers null and the metatable of arrays. Stack unchanged. */
void ml_json_open_types(lua_State *L);

/* Pushes json.null; the metatable of json.array. Neither allocates. */
void ml_json_push_null(lua_State *L);
void ml_json_push_array_type(lua_State *L);

/* Pushes the value that `text` says, and returns 1; or nil, a message and "EJSON", and returns 3.
 * The byte at text[size] is 0, as in every string of Lua's. Raises for want of memory. */
int ml_json_decode(lua_State *L, const char *text, size_t size, struct ml_json_reading how);

/* Pushes the text of the value at `index`. Raises an error that names the path to what JSON cannot
 * say. */
void ml_json_encode(lua_State *L, int index, struct ml_json_writing how);

/* moonlet.json. */
int ml_open_json(lua_State *L);

#endif
