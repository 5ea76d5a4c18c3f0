#include "common/outbox.h"

#include "common/loopback.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct pending {
    size_t start, end;
    char bytes[];
};

void outbox_init(struct outbox *outbox, struct server *server)
{
    outbox->server = server;
    outbox->pending = calloc(server->descriptors, sizeof(struct pending *));
    if (outbox->pending == NULL)
        die("calloc");
}

static void keep(struct outbox *outbox, int fd, const char *bytes, size_t count)
{
    struct pending *rest = malloc(sizeof *rest + count);
    if (rest == NULL)
        die("malloc");
    rest->start = 0;
    rest->end = count;
    memcpy(rest->bytes, bytes, count);
    outbox->pending[fd] = rest;
    server_watch(outbox->server, fd, EPOLLOUT);
}

bool outbox_send(struct outbox *outbox, int fd, const char *bytes, size_t count)
{
    ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
    if (sent == (ssize_t)count)
        return true;
    if (sent < 0 && errno != EAGAIN)
        return false;
    if (sent < 0)
        sent = 0;
    keep(outbox, fd, bytes + sent, count - (size_t)sent);
    return true;
}

bool outbox_flush(struct outbox *outbox, int fd)
{
    struct pending *rest = outbox->pending[fd];
    ssize_t sent = send(fd, rest->bytes + rest->start, rest->end - rest->start, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN;
    rest->start += (size_t)sent;
    if (rest->start < rest->end)
        return true;
    outbox_clear(outbox, fd);
    server_watch(outbox->server, fd, EPOLLIN);
    return true;
}

void outbox_clear(struct outbox *outbox, int fd)
{
    free(outbox->pending[fd]);
    outbox->pending[fd] = NULL;
}
