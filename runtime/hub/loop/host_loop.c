#include "hub/loop/host_loop.h"

#include "base/check.h"
#include "hub/loop/libev.h"

#include <stddef.h>
#include <stdlib.h>

struct ml_host_loop {
    ev_io watcher;
    struct ev_loop *loop;
    void (*callback)(void *data);
    void *data;
};

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct ml_host_loop *host = ml_container_of(watcher, struct ml_host_loop, watcher);
    host->callback(host->data);
}

struct ml_host_loop *ml_host_loop_attach(struct ev_loop *loop, int fd, void (*callback)(void *data),
                                         void *data)
{
    struct ml_host_loop *host = malloc(sizeof *host);
    if (host == NULL)
        return NULL;
    *host = (struct ml_host_loop){.loop = loop, .callback = callback, .data = data};
    ev_io_init(&host->watcher, on_readable, fd, EV_READ);
    ev_io_start(loop, &host->watcher);
    ev_unref(loop);
    return host;
}

void ml_host_loop_detach(struct ml_host_loop *host)
{
    if (host == NULL)
        return;
    ev_ref(host->loop);
    ev_io_stop(host->loop, &host->watcher);
    free(host);
}
