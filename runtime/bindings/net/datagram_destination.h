/*
 * The destination of a datagram, as scripts give it: an address is used as it is, a name is
 * resolved at each call.
 */
#ifndef ML_BINDINGS_NET_DATAGRAM_DESTINATION_H
#define ML_BINDINGS_NET_DATAGRAM_DESTINATION_H

#include "bindings/net/connect_target.h"
#include "io/datagram.h"

struct ml_destination {
    struct ml_address address; /* size 0: must be resolved */
    struct ml_target target;   /* host NULL: not needed */
    ml_time deadline;          /* of the resolution */
};

/* Reads a destination from `index` on: an address alone; or a target, and in options behind it a
 * timeout. Raises for anything else. */
struct ml_destination ml_check_destination(lua_State *L, int index);

/* Resolves its name, if it has one. May wait. 0, -ML_ECLOSED and errors of ml_resolve(). */
int ml_destination_reach(struct ml_datagram *d, struct ml_destination *to);

/* The first address of a target that a socket of `family` can reach; one of IPv6 reaches IPv4, too.
 * Waits and fails as ml_target_resolve(). */
int ml_target_find(struct ml_io *io, int family, const struct ml_target *target, ml_time deadline,
                   struct ml_address *found);

/* Pushes nil, "host:port: sentence", name of the error: returns 3. */
int ml_push_destination_failure(lua_State *L, int error, const struct ml_destination *to);

#endif
