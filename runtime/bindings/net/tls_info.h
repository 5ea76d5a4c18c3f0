/* What a stream knows of its TLS connection, as scripts see it. */
#ifndef ML_BINDINGS_NET_TLS_INFO_H
#define ML_BINDINGS_NET_TLS_INFO_H

#include <lua.h>

/* A method of a stream, documented where it is defined. */
int ml_net_stream_tls_info(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_tls_question_type(lua_State *L);

#endif
