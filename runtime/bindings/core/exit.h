/* os.exit for tasks. */
#ifndef ML_BINDINGS_CORE_EXIT_H
#define ML_BINDINGS_CORE_EXIT_H

#include <lua.h>

/* os.exit: the function that scripts get. On a state of a runtime. */
int ml_os_exit(lua_State *L);

#endif
