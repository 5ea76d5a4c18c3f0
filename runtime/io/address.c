#include "io/address.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

bool ml_address_parse(struct ml_address *address, const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    *address = (struct ml_address){0};
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    memcpy(&address->any, found->ai_addr, found->ai_addrlen);
    address->size = found->ai_addrlen;
    freeaddrinfo(found);
    ml_address_set_port(address, port);
    return true;
}

void ml_address_host(const struct ml_address *address, char *host)
{
    if (getnameinfo(&address->any, address->size, host, ML_HOST_SIZE, NULL, 0, NI_NUMERICHOST) != 0)
        memcpy(host, "?", sizeof "?");
}

uint16_t ml_address_port(const struct ml_address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->inet6.sin6_port
                                                    : address->inet.sin_port);
}

void ml_address_set_port(struct ml_address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6)
        address->inet6.sin6_port = htons(port);
    else
        address->inet.sin_port = htons(port);
}

typedef int query(int fd, struct sockaddr *address, socklen_t *size);

static int ask(query *ask_kernel, struct ml_address *address, int fd)
{
    socklen_t size = sizeof address->inet6;
    if (ask_kernel(fd, &address->any, &size) != 0)
        return -errno;
    address->size = size;
    return 0;
}

int ml_address_of_socket(struct ml_address *address, int fd)
{
    return ask(getsockname, address, fd);
}

int ml_address_of_peer(struct ml_address *address, int fd)
{
    return ask(getpeername, address, fd);
}
