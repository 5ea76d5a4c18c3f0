/* The options of a datagram socket that net.udp() and udp:set() take. */
#ifndef ML_BINDINGS_NET_DATAGRAM_OPTIONS_H
#define ML_BINDINGS_NET_DATAGRAM_OPTIONS_H

#include "io/datagram.h"

#include <lua.h>

enum { ML_UDP_OPTIONS_MAX = 8 };

/* The options that the script gave. */
struct ml_udp_options {
    struct {
        enum ml_datagram_option option;
        int value;
        const char *name;
    } given[ML_UDP_OPTIONS_MAX];
    int count;
    size_t max;                 /* 0: not given */
    const char *interface_name; /* NULL: not given; a string in the table */
};

/* Reads broadcast, reuse, reuseport, ttl, multicast_ttl, multicast_loop, multicast_interface,
 * receive_buffer, send_buffer and max from the table at `index`. Raises for wrong values and for
 * other fields; with_end: host, port, family and exclusive may be there, too. */
struct ml_udp_options ml_check_udp_options(lua_State *L, int index, bool with_end);

/* Whether an option, a truth value, is given and true. */
bool ml_udp_options_have(const struct ml_udp_options *options, enum ml_datagram_option option);

/* Sets them on an open socket. 0, or a negated errno with the option's name in *name. */
int ml_udp_options_apply(const struct ml_udp_options *options, struct ml_datagram *d,
                         const char **name);

#endif
