/*
 * The last addresses that a socket received from: a sender that is among them gets the same address
 * object, and nothing is allocated.
 */
#ifndef ML_BINDINGS_NET_PEERS_H
#define ML_BINDINGS_NET_PEERS_H

#include "io/address.h"

#include <lua.h>

/* The owner's first two user values are for them. */
enum { ML_PEERS_VALUES = 2 };

/* So many are remembered, or up to twice as many: 160 bytes each. */
enum { ML_PEERS_KEPT = 256 };

/* Pushes the address, if possible an object that the userdata at `owner` remembers; *known, at
 * first 0, counts them. */
void ml_push_peer(lua_State *L, int owner, int *known, const struct ml_address *address);

#endif
