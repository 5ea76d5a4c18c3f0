/* os.exit for tasks. */
#ifndef ML_BINDINGS_CORE_EXIT_H
#define ML_BINDINGS_CORE_EXIT_H

#include <lua.h>

/* os.exit as scripts get it, for states of a runtime. */
int ml_os_exit(lua_State *L);

#endif
