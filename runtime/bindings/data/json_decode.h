/* From a text of JSON to a Lua value. Does not use the C stack for nesting. */
#ifndef ML_BINDINGS_DATA_JSON_DECODE_H
#define ML_BINDINGS_DATA_JSON_DECODE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct ml_json_reading {
    int max_depth;
    bool drops_nulls;
    lua_Integer first_line; /* the number of the text's first line */
};

/* Pushes the value of `text` and returns 1; or nil, a message and "EJSON", and returns 3. The byte
 * at text[size] is 0, as in every string of Lua's. Raises for want of memory. */
int ml_json_decode(lua_State *L, const char *text, size_t size, struct ml_json_reading how);

#endif
