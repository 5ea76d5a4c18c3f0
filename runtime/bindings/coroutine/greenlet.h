/* The module moonlet.greenlet. */
#ifndef ML_BINDINGS_COROUTINE_GREENLET_H
#define ML_BINDINGS_COROUTINE_GREENLET_H

#include <lua.h>

/* moonlet.greenlet */
int ml_open_greenlet(lua_State *L);

#endif
