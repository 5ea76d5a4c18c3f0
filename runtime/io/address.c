#include "io/address.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
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

int ml_address_set_path(struct ml_address *address, const char *path, size_t length)
{
    struct sockaddr_un *local = &address->local;
    bool is_abstract = length > 0 && path[0] == '@';
    *address = (struct ml_address){.any.sa_family = AF_UNIX};
    if (length == 0 || (!is_abstract && memchr(path, '\0', length) != NULL))
        return -EINVAL;
    /* A path is followed by a zero byte, an abstract name preceded by one in the place of its "@". */
    if (length + !is_abstract > sizeof local->sun_path)
        return -ENAMETOOLONG;
    memcpy(local->sun_path, path, length);
    if (is_abstract)
        local->sun_path[0] = '\0';
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !is_abstract);
    return 0;
}

size_t ml_address_path(const struct ml_address *address, char *path)
{
    const char *name = address->local.sun_path;
    size_t size = address->size - offsetof(struct sockaddr_un, sun_path);
    size_t length = name[0] != '\0' ? strnlen(name, size) : size;
    if (address->size <= offsetof(struct sockaddr_un, sun_path))
        length = 0;
    memcpy(path, name, length);
    path[length] = '\0';
    if (length > 0 && name[0] == '\0')
        path[0] = '@';
    return length;
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
    socklen_t size = sizeof address->local;
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
