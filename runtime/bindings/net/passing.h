/* Methods that only streams in the Unix domain have: identity of the peer, passing of descriptors.
 * Documented where they are defined. */
#ifndef ML_BINDINGS_NET_PASSING_H
#define ML_BINDINGS_NET_PASSING_H

#include <lua.h>
#include <stdbool.h>

int ml_net_stream_credentials(lua_State *L);
int ml_net_stream_send_fd(lua_State *L);
int ml_net_stream_recv_fd(lua_State *L);

/* Whether the value is a stream, a listener, a udp or an io file. */
bool ml_net_is_passable(lua_State *L, int index);

/* A second descriptor, the caller's, of such a value or of a number, for another process: the path
 * of a socket is no longer removed here. A negated error: it is closed, or there is no room for
 * more. Raises for other values, and for a stream that is not a plain socket. */
int ml_net_double_passed(lua_State *L, int index);

#endif
