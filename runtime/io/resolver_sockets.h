/*
 * The sockets of a c-ares channel. c-ares 1.18 has one UDP socket for each server, whose port stays
 * the same as long as questions are under way. It knows no scopes, believes each datagram that
 * repeats its question, and takes an ICMP error that it meets while sending for that one
 * question's. So c-ares is given these in place of sockets:
 *
 * - Each datagram leaves from a port of its own, chosen by the kernel, while there are not too
 *   many.
 * - An answer counts only on the port from which its question left, and only if it is one.
 * - All questions that are out at a server get its ICMP error.
 *
 * c-ares knows servers by numbers only, in the form of addresses; the real ones stand here.
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
    const struct ml_addresses *servers; /* the user of the sockets keeps them */
    struct ares_channeldata *ares;      /* gets to know which sockets are ready */
    struct ml_resolver_socket *first;
    ml_time patience; /* after this time no answer is expected on a port */
    int last_number;
    int error;      /* why the last socket could not be opened; 0: it was */
    bool has_error; /* one of them has an error to tell */
};

/* For a channel without servers so far: gives it these servers and our sockets. 0, or -ENOMEM. */
int ml_resolver_sockets_init(struct ml_resolver_sockets *sockets, struct ml_hub *hub,
                             struct ares_channeldata *ares, const struct ml_addresses *servers,
                             ml_time patience);

/* c-ares' callback for the state of a socket; `data`: the sockets. */
void ml_resolver_sockets_state(void *data, int number, int readable, int writable);

/* Reports to c-ares the errors that came while it sent; to be called from outside of its calls. */
void ml_resolver_sockets_settle(struct ml_resolver_sockets *sockets);

/* No answer to the question of that id is expected any more. */
void ml_resolver_sockets_forget(struct ml_resolver_sockets *sockets, uint16_t id);

#endif
