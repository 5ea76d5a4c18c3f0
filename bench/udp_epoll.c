/*
 * The yardstick for datagrams: a UDP echo server as plain C over level-triggered epoll, one thread,
 * one socket. With "one" it answers one datagram per wake-up, the fastest for a single client; with
 * "all" it goes on until there is no more, the fastest for many.
 *
 * Usage: udp_epoll [PORT] [one|all]    (port 0 or nothing: any free one; prints "listening PORT")
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int bind_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (bind(fd, (struct sockaddr *)&address, length) != 0)
        die("bind");
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        die("getsockname");
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* A peer that is gone, or has no room, misses its answer. False: there was nothing. */
static bool echo(int fd)
{
    static char buffer[BUFFER_BYTES];
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    ssize_t received = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &length);
    if (received >= 0)
        sendto(fd, buffer, (size_t)received, MSG_NOSIGNAL, (struct sockaddr *)&peer, length);
    else if (errno != EAGAIN && errno != EINTR)
        die("recvfrom");
    return received >= 0;
}

int main(int argc, char **argv)
{
    bool takes_all = argc > 2 && strcmp(argv[2], "all") == 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int fd = bind_to(argc > 1 ? atoi(argv[1]) : 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll");
    for (;;) {
        int count = epoll_wait(epoll, &event, 1, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        if (count > 0)
            while (echo(fd) && takes_all)
                ;
    }
}
