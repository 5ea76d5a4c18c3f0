/* The reading methods of a stream, documented where they are defined. Each has the metatable of
 * streams as its first upvalue. */
#ifndef ML_BINDINGS_NET_READ_H
#define ML_BINDINGS_NET_READ_H

#include <lua.h>

int ml_net_stream_read(lua_State *L);
int ml_net_stream_read_some(lua_State *L);
int ml_net_stream_peek(lua_State *L);
int ml_net_stream_read_exactly(lua_State *L);
int ml_net_stream_read_line(lua_State *L);
int ml_net_stream_read_until(lua_State *L);
int ml_net_stream_read_all(lua_State *L);
int ml_net_stream_lines(lua_State *L);
int ml_net_stream_chunks(lua_State *L);

#endif
