/*
 * The copy loop: of two connections accepted one after the other, what comes from the first goes to
 * the second, through a buffer of 64 KiB, with plain blocking recv() and send(). Then the next two.
 *
 * Usage: relay [PORT]    (0 or nothing: any free port; prints "listening PORT")
 */
#include "common/loopback.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024 };

static char buffer[BUFFER_BYTES];

static int accept_next(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        die("accept4");
    loopback_set_nodelay(fd);
    return fd;
}

static bool send_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

static void copy(int source, int sink)
{
    ssize_t count;
    do
        count = recv(source, buffer, sizeof buffer, 0);
    while (count > 0 && send_all(sink, buffer, (size_t)count));
}

int main(int argc, char **argv)
{
    int listener = loopback_listen(argc > 1 ? atoi(argv[1]) : 0, 0);
    for (;;) {
        int source = accept_next(listener);
        int sink = accept_next(listener);
        copy(source, sink);
        close(source);
        close(sink);
    }
}
