/* Addresses as scripts see them: immutable tables {host=, port=, family=}, or {path=,
 * family="unix"}. */
#ifndef ML_BINDINGS_NET_ADDRESS_H
#define ML_BINDINGS_NET_ADDRESS_H

#include "io/address.h"

#include <lauxlib.h>
#include <stdbool.h>

#define ML_ADDRESS_TYPE "net.address"

void ml_push_address(lua_State *L, const struct ml_address *address);

/* The address at `index`; false: it is no such thing. */
bool ml_to_address(lua_State *L, int index, struct ml_address *address);

/* The two halves of ml_push_address(), for who keeps addresses in a table: a string, equal for
 * equal addresses, and the address of such a string. */
void ml_push_address_key(lua_State *L, const struct ml_address *address);
void ml_push_address_of_key(lua_State *L, int key);

/* Pushes "host:port", IPv6 hosts in brackets; or "unix:" and the path. */
void ml_push_address_text(lua_State *L, const struct ml_address *address);

/* Creates the metatable; stack unchanged. */
void ml_open_address_type(lua_State *L);

#endif
