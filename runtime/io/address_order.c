#include "io/address_order.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Multicast scopes (RFC 4291, section 2.7) serve for unicast addresses, too. */
enum scope { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

enum { SIZE = 16 };

/* An address as the rules see it, in the form of IPv6; one of IPv4 is mapped. */
struct seen {
    unsigned char bytes[SIZE];
    int scope;
    int label;
    int precedence;
};

struct choice {
    struct ml_address address;
    size_t place; /* where it was */
    bool is_reachable;
    struct seen to;
    struct seen from; /* if it is reachable */
};

/* RFC 6724, section 2.1: the default policies. */
static const struct policy {
    unsigned char prefix[SIZE];
    int length;
    int precedence;
    int label;
} policies[] = {
    {{[15] = 1}, 128, 50, 0},  {{[10] = 0xFF, [11] = 0xFF}, 96, 35, 4},
    {{0}, 96, 1, 3},           {{0x20, 0x01}, 32, 5, 5},
    {{0x20, 0x02}, 16, 30, 2}, {{0x3F, 0xFE}, 16, 1, 12},
    {{0xFE, 0xC0}, 10, 1, 11}, {{0xFC}, 7, 3, 13},
    {{0}, 0, 40, 1},
};

static int common_bits(const unsigned char *a, const unsigned char *b)
{
    int count = 0;
    while (count < SIZE * 8 && ((a[count / 8] ^ b[count / 8]) >> (7 - count % 8) & 1) == 0)
        count++;
    return count;
}

static const struct policy *policy_of(const unsigned char *bytes)
{
    const struct policy *best = NULL;
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
        if (common_bits(bytes, policies[i].prefix) >= policies[i].length &&
            (best == NULL || policies[i].length > best->length))
            best = &policies[i];
    return best;
}

static bool is_mapped(const unsigned char *bytes)
{
    return memcmp(bytes, policies[1].prefix, 12) == 0;
}

/* RFC 6724, sections 3.1 and 3.2: loopback counts as link-local, private IPv4 addresses as global.
 */
static int scope_of(const unsigned char *b)
{
    static const unsigned char loopback[SIZE] = {[15] = 1};
    if (is_mapped(b))
        return b[12] == 127 || (b[12] == 169 && b[13] == 254) ? SCOPE_LINK : SCOPE_GLOBAL;
    if (b[0] == 0xFF)
        return b[1] & 0x0F;
    if (memcmp(b, loopback, SIZE) == 0 || (b[0] == 0xFE && (b[1] & 0xC0) == 0x80))
        return SCOPE_LINK;
    return b[0] == 0xFE && (b[1] & 0xC0) == 0xC0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

static struct seen see(const struct ml_address *address)
{
    struct seen seen = {.bytes = {[10] = 0xFF, [11] = 0xFF}};
    if (address->any.sa_family == AF_INET)
        memcpy(seen.bytes + 12, &address->inet.sin_addr, 4);
    else
        memcpy(seen.bytes, &address->inet6.sin6_addr, SIZE);
    const struct policy *policy = policy_of(seen.bytes);
    seen.scope = scope_of(seen.bytes);
    seen.label = policy->label;
    seen.precedence = policy->precedence;
    return seen;
}

/* ---- source addresses ---- */

/* A connected datagram socket sends nothing, but has an own address. It forgets one connection
 * before the next. */
static bool find_source(int fd, const struct ml_address *to, struct ml_address *from)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    struct ml_address target = *to;
    if (ml_address_port(to) == 0)
        ml_address_set_port(&target, 53);
    (void)connect(fd, &nobody, sizeof nobody);
    return connect(fd, &target.any, target.size) == 0 && ml_address_of_socket(from, fd) == 0;
}

static int socket_for(int fds[2], sa_family_t family)
{
    int *fd = &fds[family == AF_INET6];
    if (*fd < 0)
        *fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return *fd;
}

static void look_at(struct choice *choice, int fds[2])
{
    struct ml_address from;
    int fd = socket_for(fds, choice->address.any.sa_family);
    choice->to = see(&choice->address);
    choice->is_reachable = fd >= 0 && find_source(fd, &choice->address, &from);
    if (choice->is_reachable)
        choice->from = see(&from);
}

/* ---- the rules ---- */

static int prefer(bool a, bool b)
{
    return (int)b - (int)a;
}

/* Rule 9, of addresses of IPv6: the longest prefix in common with the address from which to send,
 * within the network's half of it. */
static int compare_prefixes(const struct choice *a, const struct choice *b)
{
    enum { NETWORK = 64 };
    if (is_mapped(a->to.bytes) || is_mapped(b->to.bytes))
        return 0;
    int bits_a = common_bits(a->to.bytes, a->from.bytes);
    int bits_b = common_bits(b->to.bytes, b->from.bytes);
    return (bits_b < NETWORK ? bits_b : NETWORK) - (bits_a < NETWORK ? bits_a : NETWORK);
}

/* Rules 2 and 5. */
static int compare_sources(const struct choice *a, const struct choice *b)
{
    int order = prefer(a->to.scope == a->from.scope, b->to.scope == b->from.scope);
    return order != 0 ? order : prefer(a->to.label == a->from.label, b->to.label == b->from.label);
}

/* Rules 3, 4 and 7 are about properties that the kernel does not report. */
static int compare(const void *one, const void *other)
{
    const struct choice *a = one, *b = other;
    int order = prefer(a->is_reachable, b->is_reachable); /* rule 1 */
    bool have_sources = a->is_reachable && b->is_reachable;
    if (order == 0 && have_sources)
        order = compare_sources(a, b);
    if (order == 0)
        order = b->to.precedence - a->to.precedence; /* 6 */
    if (order == 0)
        order = a->to.scope - b->to.scope; /* 8 */
    if (order == 0 && have_sources)
        order = compare_prefixes(a, b); /* 9 */
    return order != 0 ? order : a->place < b->place ? -1 : 1;
}

void ml_addresses_sort(struct ml_addresses *addresses)
{
    int fds[2] = {-1, -1};
    size_t count = addresses->count;
    struct choice *choices = count > 1 ? calloc(count, sizeof *choices) : NULL;
    if (choices == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        choices[i].address = addresses->items[i];
        choices[i].place = i;
        look_at(&choices[i], fds);
    }
    qsort(choices, count, sizeof *choices, compare);
    for (size_t i = 0; i < count; i++)
        addresses->items[i] = choices[i].address;
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(choices);
}
