/* From Lua values to a text of JSON. Does not use the C stack for nesting. */
#ifndef ML_BINDINGS_DATA_JSON_ENCODE_H
#define ML_BINDINGS_DATA_JSON_ENCODE_H

#include "bindings/data/json_encoder.h"

/* Pushes the text of the value at `index`. For a value that JSON does not have it raises an error
 * that names the path to it. */
void ml_json_encode(lua_State *L, int index, struct ml_json_writing how);

/* The same, but no string is made of the text: `take` gets it, which may raise and wait. The bytes
 * stay until that returns. Keeps the stack as it is. */
typedef void ml_json_take(lua_State *L, void *context, const char *text, size_t size);
void ml_json_encode_for(lua_State *L, int index, struct ml_json_writing how, ml_json_take *take,
                        void *context);

#endif
