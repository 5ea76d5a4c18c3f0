/* moonlet.inspect.profile.core: profiles for scripts and for the code that writes formats. */
#ifndef ML_BINDINGS_INSPECT_PROFILE_MODULE_H
#define ML_BINDINGS_INSPECT_PROFILE_MODULE_H

#include "bindings/inspect/profile.h"

int ml_open_inspect_profile(lua_State *L);

/* Pushes what the profile of the runtime has measured, as core.stop() returns it. Raises Lua's
 * memory error. */
void ml_profile_push(lua_State *L);

#endif
