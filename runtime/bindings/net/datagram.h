/* UDP and Unix-domain datagram sockets as scripts see them. */
#ifndef ML_BINDINGS_NET_DATAGRAM_H
#define ML_BINDINGS_NET_DATAGRAM_H

#include "io/datagram.h"

#include <lua.h>

extern const char ml_udp_type[];

/* Pushes a closed socket with its metatable set. */
struct ml_datagram *ml_push_udp(lua_State *L);

/* The socket at `index`; NULL for anything else. */
struct ml_datagram *ml_test_udp(lua_State *L, int index);

/* Creates the metatable; stack unchanged. */
void ml_open_udp_type(lua_State *L);

#endif
