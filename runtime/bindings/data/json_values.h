/* Values that JSON has and Lua has not: null, and arrays that differ from objects. */
#ifndef ML_BINDINGS_DATA_JSON_VALUES_H
#define ML_BINDINGS_DATA_JSON_VALUES_H

#include <lua.h>

/* Levels of nesting: the default and the largest limit. */
enum { ML_JSON_DEPTH = 1000, ML_JSON_LARGEST_DEPTH = 100000 };

/* Makes room for `count` values, or raises: lua_checkstack() fails alike for want of memory and
 * beyond Lua's limit. */
void ml_json_check_stack(lua_State *L, int count);

/* Registers null and the metatable of arrays. Keeps the stack as it is. */
void ml_json_open_types(lua_State *L);

/* Each pushes one value, json.null and the metatable of json.array; neither allocates. */
void ml_json_push_null(lua_State *L);
void ml_json_push_array_type(lua_State *L);

#endif
