#include "io/departure.h"

#include "hub/on/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Of a runtime, while somebody watches. */
struct ml_departures {
    int epoll;
    uint32_t count; /* sockets */
    struct ml_watch *watch;
};

static void on_events(void *data, int epoll, bool readable, bool writable)
{
    enum { MOST = 64 };
    struct epoll_event events[MOST];
    (void)data, (void)readable, (void)writable;
    int count = epoll_wait(epoll, events, MOST, 0);
    for (int i = 0; i < count; i++) {
        struct ml_departure *departure = events[i].data.ptr;
        departure->left(departure);
    }
}

/* The runtime's, made at the first call: 0 or an error. */
static int get(struct ml_io *io, struct ml_departures **all)
{
    *all = io->departures;
    if (*all != NULL)
        return 0;
    struct ml_departures *made = malloc(sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->count = 0;
    made->epoll = epoll_create1(EPOLL_CLOEXEC);
    int error = made->epoll < 0 ? -errno : 0;
    made->watch = error == 0 ? ml_watch_open(io->hub, made->epoll, on_events, made) : NULL;
    if (made->watch == NULL) {
        if (error == 0)
            close(made->epoll);
        free(made);
        return error != 0 ? error : -ENOMEM;
    }
    ml_watch_set(made->watch, true, false);
    *all = io->departures = made;
    return 0;
}

/* One socket less. */
static void let_go(struct ml_io *io)
{
    if (--io->departures->count == 0)
        ml_departures_close(io);
}

static int watch_socket(struct ml_departure *departure, struct ml_stream *s)
{
    struct ml_departures *all;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = departure};
    int error = get(s->io, &all);
    if (error != 0)
        return error;
    all->count++;
    error = epoll_ctl(all->epoll, EPOLL_CTL_ADD, s->fd.number, &event) == 0 ? 0 : -errno;
    if (error != 0)
        let_go(s->io);
    return error;
}

int ml_departure_watch(struct ml_departure *departure, struct ml_stream *s)
{
    int error = 0;
    if (departure->stream != NULL)
        return 0;
    if (ml_fd_is_open(&s->fd))
        error = watch_socket(departure, s);
    if (error != 0)
        return error;
    departure->stop = ml_departure_stop;
    departure->stream = s;
    s->departure = departure;
    return 0;
}

void ml_departure_stop(struct ml_departure *departure)
{
    struct ml_stream *s = departure->stream;
    struct epoll_event none = {0};
    if (s == NULL)
        return;
    departure->stream = NULL;
    s->departure = NULL;
    if (!ml_fd_is_open(&s->fd))
        return;
    epoll_ctl(s->io->departures->epoll, EPOLL_CTL_DEL, s->fd.number, &none);
    let_go(s->io);
}

void ml_departures_close(struct ml_io *io)
{
    if (io->departures == NULL)
        return;
    ml_watch_close(io->departures->watch);
    close(io->departures->epoll);
    free(io->departures);
    io->departures = NULL;
}
