/* The module moonlet.net. */
#ifndef ML_BINDINGS_NET_NET_H
#define ML_BINDINGS_NET_NET_H

#include <lua.h>

/* moonlet.net.core */
int ml_open_net(lua_State *L);

#endif
