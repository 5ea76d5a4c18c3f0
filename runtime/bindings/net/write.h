/* The methods of a stream that write to its output, documented where they are defined. */
#ifndef ML_BINDINGS_NET_WRITE_H
#define ML_BINDINGS_NET_WRITE_H

#include <lua.h>

int ml_net_stream_write(lua_State *L);
int ml_net_stream_send_file(lua_State *L);
int ml_net_stream_shutdown(lua_State *L);
int ml_net_stream_finish(lua_State *L);

#endif
