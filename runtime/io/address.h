/*
 * Socket addresses: read from numbers and paths in text, and written back. Never asks a name
 * server.
 */
#ifndef ML_IO_ADDRESS_H
#define ML_IO_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct ml_address {
    socklen_t size; /* 0: none */
    union {
        struct sockaddr any;
        struct sockaddr_in inet;
        struct sockaddr_in6 inet6;
        struct sockaddr_un local;
    };
};

/* Room for the longest host text, an IPv6 address with a scope; and for the longest path. */
enum { ML_HOST_SIZE = 80, ML_PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path) + 1 };

/* Reads a numeric host ("127.0.0.1", "::1", "fe80::1%eth0"). False: it is not one. */
bool ml_address_parse(struct ml_address *address, const char *host, uint16_t port);

/* The same with a port behind it, or `port` without: "127.0.0.1:53", "::1", "[::1]:53". */
bool ml_address_parse_with_port(struct ml_address *address, const char *text, uint16_t port);

/* A Unix-domain address: a path in the file system or, if it begins with "@", an abstract name,
 * which may contain any bytes; either has 108 bytes at most. 0; -ENAMETOOLONG; -EINVAL: empty, or a
 * path with a zero byte. */
int ml_address_set_path(struct ml_address *address, const char *path, size_t length);

/* Writes the path, or "@" and the abstract name, into `path` (ML_PATH_SIZE bytes, without a
 * terminator). Returns its length, 0 for a socket without a name. */
size_t ml_address_path(const struct ml_address *address, char *path);

/* Puts the directory of this process before a path in the file system that does not begin at the
 * root; leaves any other address. 0; -ENAMETOOLONG; or an error of getcwd(). */
int ml_address_make_absolute(struct ml_address *address);

/* Sets the size that the kernel reported for an address that it has written here. The kernel counts
 * a zero byte behind a path, also behind one that fills its room. */
static inline void ml_address_set_size(struct ml_address *address, socklen_t size)
{
    address->size = size < sizeof address->local ? size : sizeof address->local;
}

static inline bool ml_address_is_local(const struct ml_address *address)
{
    return address->any.sa_family == AF_UNIX;
}

/* Writes the numeric host of an internet address into `host` (ML_HOST_SIZE bytes). */
void ml_address_host(const struct ml_address *address, char *host);
uint16_t ml_address_port(const struct ml_address *address);
void ml_address_set_port(struct ml_address *address, uint16_t port);

/* A descriptor's own address, and its peer's. 0 or a negated errno. */
int ml_address_of_socket(struct ml_address *address, int fd);
int ml_address_of_peer(struct ml_address *address, int fd);

/* Addresses in the order in which to try them. */
struct ml_addresses {
    struct ml_address *items; /* malloc'd */
    size_t count;
};

/* Appends one. 0 or -ENOMEM. */
int ml_addresses_add(struct ml_addresses *addresses, const struct ml_address *address);

void ml_addresses_release(struct ml_addresses *addresses);

#endif
