/* How UDP and Unix-domain datagram sockets come into being. */
#ifndef ML_BINDINGS_NET_DATAGRAM_OPEN_H
#define ML_BINDINGS_NET_DATAGRAM_OPEN_H

#include <lua.h>

/* net.udp(options), documented where it is defined. */
int ml_net_udp(lua_State *L);

#endif
