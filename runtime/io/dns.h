/*
 * Host names to addresses, and other records of names. Hosts file first, then name servers
 * (io/resolver.h); localhost and names under .invalid are answered without either (RFC 6761).
 */
#ifndef ML_IO_DNS_H
#define ML_IO_DNS_H

#include "io/lookup.h"

/*
 * Finds the addresses of `host`, a name or a number, in the order in which to try them (RFC 6724).
 * resolver: NULL for the runtime's own, which is opened at its first use. family: AF_UNSPEC,
 * AF_INET or AF_INET6. Waits only for names that a server must be asked for. A and AAAA are asked
 * together, and both answers are waited for; when the deadline passes one is enough.
 *
 * - 0, with *found to be released by the caller;
 * - -ML_ENOTFOUND: no such host;
 * - -ML_ENODATA: it has no such address;
 * - -ML_EDNS: the servers failed, refused or cannot be reached;
 * - -ML_EDNS_ANSWER: their answer is broken;
 * - -ML_ECLOSED: the resolver is closed;
 * - -ETIMEDOUT; -ECANCELED; -ENOMEM, -EMFILE, -ENFILE.
 */
int ml_resolve(struct ml_io *io, struct ml_resolver *resolver, const char *host, uint16_t port,
               int family, ml_time deadline, struct ml_addresses *found);

/*
 * The same for a caller that connects: one answer is enough, AAAA at once, A when AAAA has not come
 * within 50 ms (RFC 8305, section 3). *rest: more may come from there, to be closed by the caller;
 * NULL: that was all.
 */
int ml_resolve_some(struct ml_io *io, struct ml_resolver *resolver, const char *host, uint16_t port,
                    int family, ml_time deadline, struct ml_addresses *found,
                    struct ml_lookup **rest);

/* Appends the addresses that have come since, without waiting. A task that waits in rest->queue is
 * woken when there are some. 0: that was all; -EAGAIN: more may come; -ENOMEM. */
int ml_resolve_rest(struct ml_lookup *rest, uint16_t port, struct ml_addresses *found);

/*
 * Finds the records of one type, sorted (ml_records_sort()). Asks servers, not the hosts file.
 * ML_RECORD_PTR: a numeric address is turned into its name under .arpa. Errors as above;
 * -ML_ENODATA: the name has none of the type.
 */
int ml_resolve_records(struct ml_io *io, struct ml_resolver *resolver, const char *name,
                       enum ml_record_type type, ml_time deadline, struct ml_records *found);

#endif
