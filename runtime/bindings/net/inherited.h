/* Listening sockets that a service manager hands over. Knows nothing of accepting. */
#ifndef ML_BINDINGS_NET_INHERITED_H
#define ML_BINDINGS_NET_INHERITED_H

#include <lua.h>

/* net.inherited, see there. */
int ml_net_inherited(lua_State *L);

#endif
