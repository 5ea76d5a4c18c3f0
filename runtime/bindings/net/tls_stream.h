/* The TLS side of streams. Methods of a stream, documented where they are defined. */
#ifndef ML_BINDINGS_NET_TLS_STREAM_H
#define ML_BINDINGS_NET_TLS_STREAM_H

#include <lua.h>

int ml_net_stream_starttls(lua_State *L);
int ml_net_stream_handshake(lua_State *L);

#endif
