/* UDP and Unix-domain datagram sockets as scripts see them. */
#ifndef ML_BINDINGS_NET_DATAGRAM_H
#define ML_BINDINGS_NET_DATAGRAM_H

#include "io/datagram.h"

#include <lua.h>

struct ml_lua;

extern const char ml_udp_type[];

/* Pushes a closed socket with its metatable set. */
struct ml_datagram *ml_push_udp(lua_State *L);

/* Opens a closed one that the script has on a socket for an address that the workers share; may
 * wait. flags: ML_SHARE_REUSE and the like. 0 or an error of ml_lua_worker_listen(). */
int ml_udp_share(struct ml_lua *lua, struct ml_datagram *d, const struct ml_address *address,
                 unsigned flags);

/* The socket at `index`; NULL for anything else. */
struct ml_datagram *ml_test_udp(lua_State *L, int index);

/* Creates the metatable; stack unchanged. */
void ml_open_udp_type(lua_State *L);

#endif
