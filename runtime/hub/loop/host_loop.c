#include "hub/loop/host_loop.h"

#include "base/check.h"
#include "hub/loop/libev.h"

#include <stddef.h>
#include <stdlib.h>

struct ml_attachment {
    ev_io watcher;
    struct ev_loop *loop;
    void (*callback)(void *data);
    void *data;
};

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct ml_attachment *attachment = ml_container_of(watcher, struct ml_attachment, watcher);
    attachment->callback(attachment->data);
}

struct ml_attachment *ml_attach(struct ev_loop *loop, int fd, void (*callback)(void *data),
                                void *data)
{
    struct ml_attachment *attachment = malloc(sizeof *attachment);
    if (attachment == NULL)
        return NULL;
    *attachment = (struct ml_attachment){.loop = loop, .callback = callback, .data = data};
    ev_io_init(&attachment->watcher, on_readable, fd, EV_READ);
    ev_io_start(loop, &attachment->watcher);
    ev_unref(loop);
    return attachment;
}

void ml_detach(struct ml_attachment *attachment)
{
    if (attachment == NULL)
        return;
    ev_ref(attachment->loop);
    ev_io_stop(attachment->loop, &attachment->watcher);
    free(attachment);
}
