/*
 * The yardstick: a TCP echo server as plain C over level-triggered epoll, one thread, one system
 * call for each thing that has to happen. It knows no framing and no timeouts; what it costs per
 * request is what the kernel asks for.
 *
 * Usage: echo_epoll [PORT]    (0 or nothing: any free port; prints "listening PORT")
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_PER_WAIT = 1024,
    BACKLOG = 4096,
    BUFFER_BYTES = 64 * 1024,
    DESCRIPTORS_MAX = 1 << 20, /* some systems allow 2^30; the table below should stay small */
};

/* Bytes a peer was too slow to take. While a connection has some, nothing more is read from it. */
struct pending {
    size_t start, end;
    char bytes[];
};

struct server {
    int epoll;
    int listener;
    struct pending **pending; /* by descriptor; NULL nearly always */
};

static char buffer[BUFFER_BYTES];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void set_interest(struct server *server, int op, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(server->epoll, op, fd, &event) != 0)
        die("epoll_ctl");
}

static void drop(struct server *server, int fd)
{
    free(server->pending[fd]);
    server->pending[fd] = NULL;
    close(fd);
}

/* Keeps what send() would not take and waits for room instead of for input. */
static void postpone(struct server *server, int fd, const char *bytes, size_t count)
{
    struct pending *rest = malloc(sizeof *rest + count);
    if (rest == NULL)
        die("malloc");
    rest->start = 0;
    rest->end = count;
    memcpy(rest->bytes, bytes, count);
    server->pending[fd] = rest;
    set_interest(server, EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void flush(struct server *server, int fd)
{
    struct pending *rest = server->pending[fd];
    ssize_t sent = send(fd, rest->bytes + rest->start, rest->end - rest->start, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            drop(server, fd);
        return;
    }
    rest->start += (size_t)sent;
    if (rest->start < rest->end)
        return;
    free(rest);
    server->pending[fd] = NULL;
    set_interest(server, EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void echo(struct server *server, int fd)
{
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    if (received <= 0) {
        if (received == 0 || errno != EAGAIN)
            drop(server, fd);
        return;
    }
    ssize_t sent = send(fd, buffer, (size_t)received, MSG_NOSIGNAL);
    if (sent == received)
        return;
    if (sent < 0 && errno != EAGAIN) {
        drop(server, fd);
        return;
    }
    if (sent < 0)
        sent = 0;
    postpone(server, fd, buffer + sent, (size_t)(received - sent));
}

static void accept_all(struct server *server)
{
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue;
        if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
            /* Level-triggered: a listener nobody can serve would fire for ever. */
            perror("accept4, no longer accepting");
            set_interest(server, EPOLL_CTL_DEL, server->listener, 0);
        }
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        set_interest(server, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void serve(struct server *server)
{
    static struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(server->epoll, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == server->listener)
                accept_all(server);
            else if (server->pending[fd] != NULL)
                flush(server, fd);
            else
                echo(server, fd);
        }
    }
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, length) != 0)
        die("bind");
    if (listen(fd, BACKLOG) != 0)
        die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        die("getsockname");
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* Raises the limit of descriptors as far as allowed and returns it. */
static size_t raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit");
    return limit.rlim_cur;
}

int main(int argc, char **argv)
{
    struct server server = {.pending = calloc(raise_descriptor_limit(), sizeof(struct pending *))};
    if (server.pending == NULL)
        die("calloc");
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll < 0)
        die("epoll_create1");
    server.listener = listen_on(argc > 1 ? atoi(argv[1]) : 0);
    set_interest(&server, EPOLL_CTL_ADD, server.listener, EPOLLIN);
    serve(&server);
}
