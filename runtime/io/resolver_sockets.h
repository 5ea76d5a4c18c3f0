/*
 * The sockets of a c-ares channel. c-ares 1.18 has one UDP socket for each server, whose port stays
 * the same as long as questions are under way, knows no scopes, believes each datagram that repeats
 * its question, and sees an ICMP error that it meets while it sends as that one question's. So what
 * c-ares takes for a socket is one of these:
 *
 * - Each datagram leaves from a port of its own, chosen by the kernel, while there are not too
 * many.
 * - An answer counts only on the port from which its question left, and only if it is one.
 * - An ICMP error is told to all questions that are out at that server.
 *
 * Servers are known to c-ares by numbers only, in the form of addresses; the real ones stand here.
 */
#ifndef ML_IO_RESOLVER_SOCKETS_H
#define ML_IO_RESOLVER_SOCKETS_H

#include "base/clock.h"
#include "io/address.h"

struct ares_addr_port_node;
struct ares_channeldata;
struct ml_hub;
struct ml_resolver_socket;

struct ml_resolver_sockets {
    struct ml_hub *hub;
    const struct ml_addresses *servers; /* whoever uses these keeps them */
    struct ares_channeldata *ares;      /* told what is ready */
    struct ml_resolver_socket *first;
    ml_time patience; /* after which no answer is waited for on a port */
    int last_number;
    int error;      /* why the last socket could not be had; 0: it could */
    bool has_error; /* one of them has an error to tell */
};

/* For a channel without servers so far: it gets these and is given ours. 0, or -ENOMEM. */
int ml_resolver_sockets_init(struct ml_resolver_sockets *sockets, struct ml_hub *hub,
                             struct ares_channeldata *ares, const struct ml_addresses *servers,
                             ml_time patience);

/* What c-ares wants to know of a socket: its callback for states, `data` the sockets. */
void ml_resolver_sockets_state(void *data, int number, int readable, int writable);

/* Tells c-ares of errors that came while it sent; from outside of its calls. */
void ml_resolver_sockets_settle(struct ml_resolver_sockets *sockets);

/* No answer to the question of that id is waited for any more. */
void ml_resolver_sockets_forget(struct ml_resolver_sockets *sockets, uint16_t id);

#endif
