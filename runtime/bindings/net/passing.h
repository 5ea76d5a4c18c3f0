/* Methods that only streams in the Unix domain have: identity of the peer, passing of descriptors.
 * Documented where they are defined. */
#ifndef ML_BINDINGS_NET_PASSING_H
#define ML_BINDINGS_NET_PASSING_H

#include <lua.h>

int ml_net_stream_credentials(lua_State *L);
int ml_net_stream_send_fd(lua_State *L);
int ml_net_stream_recv_fd(lua_State *L);

#endif
