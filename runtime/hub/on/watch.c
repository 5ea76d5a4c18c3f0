#include "hub/on/watch.h"

#include "hub/loop/libev.h"
#include "hub/loop/poller.h"

#include <stddef.h>
#include <stdlib.h>

struct ml_watch {
    ev_io watcher;
    struct ev_loop *loop;
    ml_watch_callback *callback;
    void *data;
};

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    struct ml_watch *watch = ml_container_of(watcher, struct ml_watch, watcher);
    watch->callback(watch->data, watcher->fd, events & EV_READ, events & EV_WRITE);
}

struct ml_watch *ml_watch_open(struct ml_hub *hub, int fd, ml_watch_callback *callback, void *data)
{
    struct ml_watch *watch = malloc(sizeof *watch);
    if (watch == NULL)
        return NULL;
    *watch =
        (struct ml_watch){.loop = ml_poller_loop(hub->poller), .callback = callback, .data = data};
    ev_io_init(&watch->watcher, on_ready, fd, 0);
    return watch;
}

void ml_watch_set(struct ml_watch *watch, bool readable, bool writable)
{
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    ev_io_stop(watch->loop, &watch->watcher);
    ev_io_set(&watch->watcher, watch->watcher.fd, events);
    if (events != 0)
        ev_io_start(watch->loop, &watch->watcher);
}

void ml_watch_close(struct ml_watch *watch)
{
    if (watch == NULL)
        return;
    ev_io_stop(watch->loop, &watch->watcher);
    free(watch);
}
