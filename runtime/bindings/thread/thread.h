/* The module moonlet.thread. */
#ifndef ML_BINDINGS_THREAD_THREAD_H
#define ML_BINDINGS_THREAD_THREAD_H

#include <lua.h>

/* luaopen function of moonlet.thread.core. */
int ml_open_thread(lua_State *L);

#endif
