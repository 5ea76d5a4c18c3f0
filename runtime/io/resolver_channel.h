/*
 * The c-ares channel of a resolver: its sockets are watched on the hub, and its name servers are those given or those
 * of the system, whose configuration it follows. Knows no questions, nor when it is time for its clock.
 */
#ifndef ML_IO_RESOLVER_CHANNEL_H
#define ML_IO_RESOLVER_CHANNEL_H

#include "base/clock.h"
#include "io/address.h"

#include <sys/stat.h>

struct ares_channeldata;
struct ml_hub;
struct ml_resolver_socket;

struct ml_resolver_channel {
    struct ares_channeldata *ares; /* to ask with; NULL: closed */
    struct ml_hub *hub;
    struct ml_resolver_socket *sockets;
    struct ml_addresses servers; /* none: those of the system */
    ml_time timeout;             /* of the first try */
    int tries;
    struct stat configured; /* of /etc/resolv.conf, when `ares` was made */
};

/* A closed one. servers, timeout, tries: as in struct ml_resolver_options; the caller keeps the servers. 0, or
 * -ENOMEM: to be released all the same. */
int ml_resolver_channel_init(struct ml_resolver_channel *channel, struct ml_hub *hub,
                             const struct ml_addresses *servers, ml_time timeout, int tries);

/* Frees what a closed one has. Harmless on one that is zeroed. */
void ml_resolver_channel_release(struct ml_resolver_channel *channel);

/* Opens a closed one. 0, or an error of ml_resolver_channel_error(). */
int ml_resolver_channel_open(struct ml_resolver_channel *channel);

/* Closes an open one: every question that is left is answered with ARES_EDESTRUCTION. Never waits. */
void ml_resolver_channel_close(struct ml_resolver_channel *channel);

static inline bool ml_resolver_channel_is_open(const struct ml_resolver_channel *channel)
{
    return channel->ares != NULL;
}

/* Makes `ares` anew when the system's name servers may be others now; no question is under way. If that fails,
 * the old one serves. */
void ml_resolver_channel_follow(struct ml_resolver_channel *channel);

/* Has an open one look at its clock, to ask again or give up. Questions may be answered. Never waits. */
void ml_resolver_channel_tick(struct ml_resolver_channel *channel);

/* A status of c-ares as 0 or a negated error. */
int ml_resolver_channel_error(int status);

#endif
