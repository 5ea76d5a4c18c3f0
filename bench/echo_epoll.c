/*
 * The yardstick: a TCP echo server as plain C over level-triggered epoll, one thread, one system
 * call for each thing that has to happen. It knows no framing and no timeouts; what it costs per
 * request is what the kernel asks for.
 *
 * Usage: echo_epoll [PORT]    (0 or nothing: any free port; prints "listening PORT")
 */
#include "common/outbox.h"
#include "common/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024 };

static struct outbox outbox;
static char buffer[BUFFER_BYTES];

/* False: the connection has ended. */
static bool echo(int fd)
{
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    if (received <= 0)
        return received < 0 && errno == EAGAIN;
    return outbox_send(&outbox, fd, buffer, (size_t)received);
}

static void on_event(struct server *server, int fd, uint32_t events)
{
    (void)server, (void)events;
    bool is_alive = outbox_is_empty(&outbox, fd) ? echo(fd) : outbox_flush(&outbox, fd);
    if (is_alive)
        return;
    outbox_clear(&outbox, fd);
    close(fd);
}

int main(int argc, char **argv)
{
    struct server server = {.on_event = on_event};
    server_open(&server, argc > 1 ? atoi(argv[1]) : 0);
    outbox_init(&outbox, &server);
    server_run(&server);
}
