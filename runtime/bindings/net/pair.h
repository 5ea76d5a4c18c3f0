/* Pairs of connected streams, functions of moonlet.net documented where they are defined. */
#ifndef ML_BINDINGS_NET_PAIR_H
#define ML_BINDINGS_NET_PAIR_H

#include <lua.h>

int ml_net_pair(lua_State *L);
int ml_net_memory_pair(lua_State *L);

#endif
