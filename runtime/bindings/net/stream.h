/* Streams as scripts see them: their methods. */
#ifndef ML_BINDINGS_NET_STREAM_H
#define ML_BINDINGS_NET_STREAM_H

#include <lua.h>

/* core.accepted_from, see there. */
int ml_net_accepted_from(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_stream_type(lua_State *L);

#endif
