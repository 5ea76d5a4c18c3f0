/* What JSON has and Lua has not: null, and arrays that are told from objects. */
#ifndef ML_BINDINGS_DATA_JSON_VALUES_H
#define ML_BINDINGS_DATA_JSON_VALUES_H

#include <lua.h>

/* Levels of nesting: unless told otherwise, and at most. */
enum { ML_JSON_DEPTH = 1000, ML_JSON_LARGEST_DEPTH = 100000 };

/* Registers null and the metatable of arrays. Stack unchanged. */
void ml_json_open_types(lua_State *L);

/* Pushes json.null; the metatable of json.array. Neither allocates. */
void ml_json_push_null(lua_State *L);
void ml_json_push_array_type(lua_State *L);

#endif
