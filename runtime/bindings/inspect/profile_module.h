/* moonlet.inspect.profile.core: profiles for scripts and for the code that writes formats. */
#ifndef ML_BINDINGS_INSPECT_PROFILE_MODULE_H
#define ML_BINDINGS_INSPECT_PROFILE_MODULE_H

#include "bindings/inspect/profile.h"

int ml_open_inspect_profile(lua_State *L);

/* Names of C functions: a table of ml_profile_push_names() at `index` of a state. */
struct ml_profile_names {
    lua_State *L;
    int index; /* 0: no names */
};

/* Pushes what the profile has measured, as core.stop() returns it. L: any state, also one of
 * another runtime than `lua`. Raises Lua's memory error. */
void ml_profile_push(lua_State *L, const struct ml_lua *lua, struct ml_profile_names names);

#endif
