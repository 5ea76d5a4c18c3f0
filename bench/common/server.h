/*
 * A TCP server over level-triggered epoll, one thread: accepts, and calls what the program does
 * about the events of a connection. Knows nothing of what is spoken.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stddef.h>
#include <stdint.h>

struct server {
    int epoll, listener;
    size_t descriptors;                               /* none has a larger number */
    void (*on_accept)(struct server *server, int fd); /* NULL: nothing to do */
    void (*on_event)(struct server *server, int fd, uint32_t events);
};

/* Listens at the port (0: any free one, printed), ready for as many connections as are allowed. The
 * callbacks stay. */
void server_open(struct server *server, int port);

/* Serves for ever. */
_Noreturn void server_run(struct server *server);

/* What a connection waits for from now on. */
void server_watch(struct server *server, int fd, uint32_t events);

#endif
