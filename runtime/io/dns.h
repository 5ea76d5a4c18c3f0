/* Host names to addresses, through c-ares on the hub: hosts file, A and AAAA records. */
#ifndef ML_IO_DNS_H
#define ML_IO_DNS_H

#include "io/address.h"
#include "io/io.h"

/* Addresses in the order in which to try them (RFC 6724). */
struct ml_addresses {
    struct ml_address *items; /* malloc'd */
    size_t count;
};

/*
 * Finds the addresses of `host`, a name or a number. family: AF_UNSPEC, AF_INET or AF_INET6. Waits
 * only for names that a server must be asked for. 0, with *found to be released by the caller;
 * -ML_ENOTFOUND; -ETIMEDOUT; -ECANCELED; -ENOMEM.
 */
int ml_resolve(struct ml_io *io, const char *host, uint16_t port, int family, ml_time deadline,
               struct ml_addresses *found);

/* Appends one. 0 or -ENOMEM. */
int ml_addresses_add(struct ml_addresses *addresses, const struct ml_address *address);

void ml_addresses_release(struct ml_addresses *addresses);

/* Frees the resolver of a runtime, if there is one; no task is in ml_resolve(). */
void ml_resolver_release(struct ml_io *io);

#endif
