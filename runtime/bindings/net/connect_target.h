/*
 * A place to connect, listen or send to, as scripts give it: a host and a port, "unix:/path", or an
 * address.
 */
#ifndef ML_BINDINGS_NET_CONNECT_TARGET_H
#define ML_BINDINGS_NET_CONNECT_TARGET_H

#include "io/dns.h"

#include <lua.h>

struct ml_target {
    const char *host; /* a Lua string on the caller's stack; of a Unix-domain socket the path */
    size_t length;
    uint16_t port;
    bool is_local;                /* of the Unix domain */
    int options;                  /* index of the options table, and number of the argument; 0:
                                     none */
    struct ml_resolver *resolver; /* for the host's name; NULL: the runtime's own */
};

/*
 * Reads a target from `index` on, and the options table after it. Raises for anything else.
 * Afterwards the host, also that of an address, is at `index`; the arguments after it are where
 * they were, and nothing is above the options.
 */
struct ml_target ml_check_target(lua_State *L, int index);

/* Resolves its addresses; may wait, see ml_resolve(). */
int ml_target_resolve(struct ml_io *io, const struct ml_target *target, int family,
                      ml_time deadline, struct ml_addresses *found);

/* The same for a caller that connects; may wait, see ml_resolve_some(). */
int ml_target_resolve_some(struct ml_io *io, const struct ml_target *target, int family,
                           ml_time deadline, struct ml_addresses *found, struct ml_lookup **rest);

/* Pushes nil, "what: sentence", name of the error: returns 3. */
int ml_push_net_failure(lua_State *L, int error, const char *what);

/* Pushes nil, "host:port: " and the text, name of the error: returns 3. */
int ml_push_target_failure(lua_State *L, int error, const char *text,
                           const struct ml_target *target);

/* Reads a numeric host, without a port, a "unix:" name or an address at `index`; false for anything
 * else. */
bool ml_to_local_address(lua_State *L, int index, struct ml_address *address);

#endif
