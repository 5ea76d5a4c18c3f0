/*
 * Bytes that peers were too slow to take, by descriptor. While a connection has some, its server
 * waits for room and reads nothing more from it.
 */
#ifndef BENCH_OUTBOX_H
#define BENCH_OUTBOX_H

#include "common/server.h"

#include <stdbool.h>
#include <sys/types.h>

struct pending;

struct outbox {
    struct server *server;
    struct pending **pending; /* by descriptor; NULL nearly always */
};

/* The server is open. */
void outbox_init(struct outbox *outbox, struct server *server);

static inline bool outbox_is_empty(const struct outbox *outbox, int fd)
{
    return outbox->pending[fd] == NULL;
}

/* Sends, and keeps what the socket would not take. False: the connection is broken. */
bool outbox_send(struct outbox *outbox, int fd, const char *bytes, size_t count);

/* Sends what was kept. False: the connection is broken. */
bool outbox_flush(struct outbox *outbox, int fd);

/* Forgets what was kept. */
void outbox_clear(struct outbox *outbox, int fd);

#endif
