#include "io/dns.h"

#include "base/error.h"
#include "hub/wait/slice.h"
#include "io/address_order.h"
#include "io/cares.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Begins every call: checks for a cancellation and finds the resolver. */
static int begin(struct ml_io *io, struct ml_resolver **resolver, ml_time deadline)
{
    int error = ml_slice_point_until(io->hub, deadline);
    if (error == 0 && *resolver == NULL && io->resolver == NULL)
        error = ml_resolver_new(io, &(struct ml_resolver_options){0}, &io->resolver);
    if (*resolver == NULL)
        *resolver = io->resolver;
    return error;
}

/* ---- names that no server is asked for ---- */

/* Whether the last label of a name, apart from a dot at its end, is this one. */
static bool is_under(const char *name, const char *label)
{
    size_t length = strlen(name), size = strlen(label);
    length -= length > 0 && name[length - 1] == '.';
    return length >= size && strncasecmp(name + length - size, label, size) == 0 &&
           (length == size || name[length - size - 1] == '.');
}

/* RFC 6761, section 6.4: names under .invalid do not exist. */
static bool is_invalid(const char *host)
{
    return host[0] == '\0' || is_under(host, "invalid");
}

/* An address in brackets, or with a scope or a port, is no name of a host. It is not sent to
 * servers, which would learn what is not for them, and one could answer. */
static bool is_no_host(const char *host)
{
    return strpbrk(host, "[]%:") != NULL;
}

/* The same for names that may hold any bytes, as those of services do: a name that would be an
 * address without its scope, port and brackets. */
static bool is_address_at_heart(const char *name)
{
    char host[ML_HOST_SIZE];
    struct ml_address address;
    const char *start = name + (name[0] == '[');
    size_t length = strcspn(start, "%]");
    if (ml_address_parse_with_port(&address, name, 0))
        return true;
    if (length >= sizeof host)
        return false;
    memcpy(host, start, length);
    host[length] = '\0';
    return ml_address_parse(&address, host, 0);
}

/* RFC 6761, section 6.3. */
static bool is_localhost(const char *host)
{
    return is_under(host, "localhost");
}

static int add_number(const char *number, uint16_t port, int family, struct ml_addresses *found)
{
    struct ml_address address;
    if (!ml_address_parse(&address, number, port) ||
        (family != AF_UNSPEC && address.any.sa_family != family))
        return 0;
    return ml_addresses_add(found, &address);
}

static int add_localhost(uint16_t port, int family, struct ml_addresses *found)
{
    int error = add_number("::1", port, family, found);
    return error == 0 ? add_number("127.0.0.1", port, family, found) : error;
}

/* ---- addresses ---- */

/* Takes the addresses of one side that is over. */
static int take_side(struct ml_lookup_side *side, uint16_t port, struct ml_addresses *found)
{
    int error = 0;
    for (size_t i = 0; i < side->records.count && error == 0; i++) {
        struct ml_address *address = &side->records.items[i].address;
        ml_address_set_port(address, port);
        error = ml_addresses_add(found, address);
    }
    ml_records_release(&side->records);
    return error;
}

static int take_addresses(struct ml_lookup *lookup, uint16_t port, struct ml_addresses *found)
{
    int error = 0;
    for (int i = 0; i < lookup->count && error == 0; i++)
        error = take_side(&lookup->sides[i], port, found);
    if (error == 0)
        ml_addresses_sort(found);
    return error;
}

/* IPv6 last: its answer is the one after which no other is waited for. */
static int open_lookup(struct ml_resolver *resolver, const char *host, int family, ml_time deadline,
                       struct ml_lookup **lookup)
{
    static const enum ml_record_type types[] = {ML_RECORD_A, ML_RECORD_AAAA};
    const enum ml_record_type *first = family == AF_INET6 ? &types[1] : &types[0];
    return ml_lookup_open(resolver, host, first, family == AF_UNSPEC ? 2 : 1, false, deadline,
                          lookup);
}

/* rest: as for ml_resolve_some(); NULL: waits for all answers. */
static int ask_for_addresses(struct ml_resolver *resolver, const char *host, uint16_t port,
                             int family, ml_time deadline, struct ml_addresses *found,
                             struct ml_lookup **rest)
{
    struct ml_lookup *lookup;
    int error = open_lookup(resolver, host, family, deadline, &lookup);
    if (error == 0)
        error = ml_lookup_wait(lookup, rest != NULL, deadline);
    bool may_more_come = error == 0 && rest != NULL && !ml_lookup_look(lookup);
    if (error == 0)
        error = take_addresses(lookup, port, found);
    if (error == 0 && may_more_come)
        *rest = lookup;
    else
        ml_lookup_close(lookup);
    return error;
}

static int find_addresses(struct ml_resolver *resolver, const char *host, uint16_t port, int family,
                          ml_time deadline, struct ml_addresses *found, struct ml_lookup **rest)
{
    int error = ml_hosts_find(&resolver->hosts, host, port, family, found);
    if (error != -ML_ENOTFOUND)
        return error;
    return is_localhost(host)
               ? add_localhost(port, family, found)
               : ask_for_addresses(resolver, host, port, family, deadline, found, rest);
}

static int resolve(struct ml_io *io, struct ml_resolver *resolver, const char *host, uint16_t port,
                   int family, ml_time deadline, struct ml_addresses *found,
                   struct ml_lookup **rest)
{
    struct ml_address number;
    *found = (struct ml_addresses){0};
    int error = begin(io, &resolver, deadline);
    if (error != 0)
        return error;
    if (ml_address_parse(&number, host, port)) {
        error = add_number(host, port, family, found);
        return error == 0 && found->count == 0 ? -ML_ENODATA : error;
    }
    if (is_invalid(host) || is_no_host(host))
        return -ML_ENOTFOUND;
    ml_resolver_enter(resolver);
    error = find_addresses(resolver, host, port, family, deadline, found, rest);
    ml_resolver_leave(resolver);
    return error;
}

int ml_resolve(struct ml_io *io, struct ml_resolver *resolver, const char *host, uint16_t port,
               int family, ml_time deadline, struct ml_addresses *found)
{
    return resolve(io, resolver, host, port, family, deadline, found, NULL);
}

int ml_resolve_some(struct ml_io *io, struct ml_resolver *resolver, const char *host, uint16_t port,
                    int family, ml_time deadline, struct ml_addresses *found,
                    struct ml_lookup **rest)
{
    *rest = NULL;
    return resolve(io, resolver, host, port, family, deadline, found, rest);
}

int ml_resolve_rest(struct ml_lookup *rest, uint16_t port, struct ml_addresses *found)
{
    bool is_over = ml_lookup_look(rest);
    int error = take_addresses(rest, port, found);
    return error == 0 && !is_over ? -EAGAIN : error;
}

/* ---- records ---- */

enum { REVERSE_SIZE = sizeof "f." * 32 + sizeof "ip6.arpa" };

/* The name under which an address has PTR records (RFC 1035, RFC 3596). */
static void write_reverse_name(const struct ml_address *address, char *name)
{
    if (address->any.sa_family == AF_INET) {
        const uint8_t *byte = (const uint8_t *)&address->inet.sin_addr;
        snprintf(name, REVERSE_SIZE, "%d.%d.%d.%d.in-addr.arpa", byte[3], byte[2], byte[1],
                 byte[0]);
        return;
    }
    for (int i = 15; i >= 0; i--) {
        int byte = address->inet6.sin6_addr.s6_addr[i];
        name += snprintf(name, sizeof "f.f.", "%x.%x.", byte & 15, byte >> 4);
    }
    memcpy(name, "ip6.arpa", sizeof "ip6.arpa");
}

static int ask_for_records(struct ml_resolver *resolver, const char *name, enum ml_record_type type,
                           bool is_exact, ml_time deadline, struct ml_records *found)
{
    struct ml_lookup *lookup;
    ml_resolver_enter(resolver);
    int error = ml_lookup_open(resolver, name, &type, 1, is_exact, deadline, &lookup);
    if (error == 0)
        error = ml_lookup_wait(lookup, false, deadline);
    if (error == 0) {
        *found = lookup->sides[0].records;
        lookup->sides[0].records = (struct ml_records){0};
        ml_records_sort(found, &resolver->random);
    }
    ml_lookup_close(lookup);
    ml_resolver_leave(resolver);
    return error;
}

/* The records of a type that a number or localhost has, without a server. */
static int local_records(const char *name, enum ml_record_type type, struct ml_records *found)
{
    struct ml_addresses addresses = {0};
    int family = type == ML_RECORD_A ? AF_INET : type == ML_RECORD_AAAA ? AF_INET6 : AF_UNIX;
    int error = is_localhost(name) ? add_localhost(0, family, &addresses)
                                   : add_number(name, 0, family, &addresses);
    for (size_t i = 0; i < addresses.count && error == 0; i++)
        error = ml_records_add(found, &(struct ml_record){.address = addresses.items[i]});
    ml_addresses_release(&addresses);
    return error == 0 && found->count == 0 ? -ML_ENODATA : error;
}

int ml_resolve_records(struct ml_io *io, struct ml_resolver *resolver, const char *name,
                       enum ml_record_type type, ml_time deadline, struct ml_records *found)
{
    struct ml_address number;
    char reverse[REVERSE_SIZE];
    *found = (struct ml_records){0};
    int error = begin(io, &resolver, deadline);
    if (error != 0)
        return error;
    bool is_number = ml_address_parse(&number, name, 0);
    if (is_number && type == ML_RECORD_PTR) {
        write_reverse_name(&number, reverse);
        return ask_for_records(resolver, reverse, type, true, deadline, found);
    }
    if (is_number || is_localhost(name))
        return local_records(name, type, found);
    bool is_of_host = type == ML_RECORD_A || type == ML_RECORD_AAAA;
    if (is_invalid(name) || (is_of_host ? is_no_host(name) : is_address_at_heart(name)))
        return -ML_ENOTFOUND;
    return ask_for_records(resolver, name, type, false, deadline, found);
}
