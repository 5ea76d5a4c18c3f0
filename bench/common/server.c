#include "common/server.h"

#include "common/loopback.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    EVENTS_PER_WAIT = 1024,
    DESCRIPTORS_MAX = 1 << 20, /* some systems allow 2^30; tables by descriptor should stay small */
};

static void control(struct server *server, int op, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(server->epoll, op, fd, &event) != 0)
        die("epoll_ctl");
}

void server_watch(struct server *server, int fd, uint32_t events)
{
    control(server, EPOLL_CTL_MOD, fd, events);
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
            control(server, EPOLL_CTL_DEL, server->listener, 0);
        }
        if (fd < 0)
            return;
        loopback_set_nodelay(fd);
        if (server->on_accept != NULL)
            server->on_accept(server, fd);
        control(server, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

void server_open(struct server *server, int port)
{
    server->descriptors = raise_descriptor_limit(DESCRIPTORS_MAX);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0)
        die("epoll_create1");
    server->listener = loopback_listen(port, SOCK_NONBLOCK);
    control(server, EPOLL_CTL_ADD, server->listener, EPOLLIN);
}

void server_run(struct server *server)
{
    static struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(server->epoll, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == server->listener)
                accept_all(server);
            else
                server->on_event(server, events[i].data.fd, events[i].events);
        }
    }
}
