/*
 * Names of C functions as a script would write them, "string.rep", found by the function's address
 * in the modules that are loaded and in the metatables of the library's types.
 */
#ifndef ML_BINDINGS_INSPECT_PROFILE_NAMES_H
#define ML_BINDINGS_INSPECT_PROFILE_NAMES_H

#include <lua.h>

/* Pushes a table: the address of a function, as light userdata -> its name. Raises Lua's memory
 * error. Calls no code of scripts. */
void ml_profile_push_names(lua_State *L);

#endif
