/* From Lua values to a text of JSON. Does not use the C stack for nesting. */
#ifndef ML_BINDINGS_DATA_JSON_ENCODE_H
#define ML_BINDINGS_DATA_JSON_ENCODE_H

#include "bindings/data/json_encoder.h"

/* Pushes the text of the value at `index`. For a value that JSON does not have it raises an error
 * that names the path to it. */
void ml_json_encode(lua_State *L, int index, struct ml_json_writing how);

#endif
