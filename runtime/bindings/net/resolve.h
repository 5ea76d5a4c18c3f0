/* Host names and resolvers as scripts see them, documented where they are defined. */
#ifndef ML_BINDINGS_NET_RESOLVE_H
#define ML_BINDINGS_NET_RESOLVE_H

#include "io/resolver.h"

#include <lua.h>

int ml_net_resolve(lua_State *L);  /* net.resolve */
int ml_net_resolver(lua_State *L); /* net.resolver */

/* `resolver` of the options table at `options` (0: there is none); NULL without. Raises for
 * anything else. The option keeps the resolver from the collector. */
struct ml_resolver *ml_resolver_option(lua_State *L, int options);

/* Creates the metatables; stack unchanged. */
void ml_open_resolver_type(lua_State *L);

#endif
