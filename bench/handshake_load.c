/*
 * Load of TLS handshakes: so many connections at a time from one thread, each shakes hands without
 * a session to resume, says that it has ended, waits for the server's end, and makes room for the
 * next.
 *
 * Usage: handshake_load PORT CONNECTIONS SECONDS [PID]    (of the server)
 *
 * Prints one line of JSON. A handshake costs the client more than the server, so that the rate is
 * that of the two together; the server's own is what it could do in a second of its CPU.
 */
#include "common/link.h"
#include "common/loopback.h"
#include "common/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS_PER_WAIT = 256 };

static const double warmup_seconds = 0.3;

struct load {
    int port, connections, epoll;
    SSL_CTX *tls;
    struct link *links;
    unsigned long done, failed;
};

static void begin(struct load *load, struct link *link)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = link};
    if (!link_open(link, load->port, SOCK_STREAM, load->tls))
        die("connect");
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, link->fd, &event) != 0)
        die("epoll_ctl");
}

static void finish(struct load *load, struct link *link, bool is_good)
{
    if (is_good)
        load->done++;
    else
        load->failed++;
    link_close(link);
    begin(load, link);
}

/* Reads up to the end. */
static void drain(struct load *load, struct link *link)
{
    char byte;
    ssize_t count = link_receive(link, &byte, sizeof byte);
    if (count != -EAGAIN)
        finish(load, link, count == 0);
}

static void on_event(struct load *load, struct link *link)
{
    if (link->is_shaken) {
        drain(load, link);
        return;
    }
    int error = link_shake(link);
    if (error == 0)
        link_finish(link);
    if (error == 0)
        drain(load, link);
    else if (error != -EAGAIN)
        finish(load, link, false);
}

static void run_for(struct load *load, double seconds)
{
    static struct epoll_event events[EVENTS_PER_WAIT];
    int64_t deadline = now() + (int64_t)(seconds * 1e9);
    while (now() < deadline) {
        int count = epoll_wait(load->epoll, events, EVENTS_PER_WAIT, 10);
        for (int i = 0; i < count; i++)
            on_event(load, events[i].data.ptr);
    }
}

static void prepare(struct load *load)
{
    load->tls = link_new_tls();
    load->links = calloc((size_t)load->connections, sizeof *load->links);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->links == NULL || load->epoll < 0)
        die("prepare");
    for (int i = 0; i < load->connections; i++)
        begin(load, &load->links[i]);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fputs("usage: handshake_load PORT CONNECTIONS SECONDS [PID]\n", stderr);
        return 2;
    }
    struct load load = {.port = atoi(argv[1]), .connections = atoi(argv[2])};
    int pid = argc > 4 ? atoi(argv[4]) : 0;
    prepare(&load);
    run_for(&load, warmup_seconds);

    unsigned long before = load.done;
    int64_t cpu = proc_cpu(pid), start = now();
    run_for(&load, atof(argv[3]));
    double seconds = (double)(now() - start) / 1e9;
    double cpu_seconds = (double)(proc_cpu(pid) - cpu) / 1e9;
    double handshakes = (double)(load.done - before);

    printf("{\"handshakes\":%.0f,\"failed\":%lu,\"handshakes_per_second\":%.1f,", handshakes,
           load.failed, handshakes / seconds);
    if (cpu_seconds > 0)
        printf("\"handshakes_per_cpu_second\":%.1f,", handshakes / cpu_seconds);
    printf("\"seconds\":%.3f}\n", seconds);
    return handshakes > 0 ? 0 : 1;
}
