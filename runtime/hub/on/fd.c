#include "hub/on/fd.h"

#include "base/error.h"
#include "hub/loop/poller.h"
#include "hub/state/ready.h"

#include <stddef.h>
#include <unistd.h>

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct ml_fd_side *side = ml_container_of(watcher, struct ml_fd_side, watcher);
    if (side->waiter != NULL)
        ml_task_wake(side->waiter, ML_WAKE_EVENT);
    else
        ev_io_stop(loop, watcher);
}

static struct ev_loop *loop_of(struct ml_fd *fd)
{
    return ml_poller_loop(fd->hub->poller);
}

void ml_fd_init(struct ml_fd *fd, struct ml_hub *hub)
{
    *fd = (struct ml_fd){.number = -1, .hub = hub};
}

void ml_fd_open(struct ml_fd *fd, int number)
{
    fd->number = number;
    ev_io_init(&fd->sides[ML_FD_READ].watcher, on_ready, number, EV_READ);
    ev_io_init(&fd->sides[ML_FD_WRITE].watcher, on_ready, number, EV_WRITE);
}

static void close_side(struct ml_fd *fd, struct ml_fd_side *side)
{
    ev_io_stop(loop_of(fd), &side->watcher);
    if (side->waiter != NULL)
        ml_task_wake(side->waiter, ML_WAKE_EVENT);
}

void ml_fd_close(struct ml_fd *fd)
{
    if (ml_fd_is_open(fd))
        close(ml_fd_detach(fd));
}

int ml_fd_detach(struct ml_fd *fd)
{
    int number = fd->number;
    close_side(fd, &fd->sides[ML_FD_READ]);
    close_side(fd, &fd->sides[ML_FD_WRITE]);
    fd->number = -1;
    return number;
}

int ml_fd_wait(struct ml_fd *fd, enum ml_fd_event event, const struct ml_wait_kind *kind,
               ml_time deadline)
{
    struct ml_fd_side *side = &fd->sides[event];
    if (!ml_fd_is_open(fd))
        return -ML_ECLOSED;
    if (side->waiter != NULL)
        return -EBUSY;
    ev_io_start(loop_of(fd), &side->watcher);
    side->waiter = fd->hub->current;
    int error = ml_wait(fd->hub, kind, (uint32_t)fd->number, NULL, deadline);
    side->waiter = NULL;
    return error == 0 && !ml_fd_is_open(fd) ? -ML_ECLOSED : error;
}

int ml_fd_watch(struct ml_fd *fd, enum ml_fd_event event)
{
    struct ml_fd_side *side = &fd->sides[event];
    if (!ml_fd_is_open(fd))
        return -ML_ECLOSED;
    if (side->waiter != NULL)
        return side->waiter == fd->hub->current ? 0 : -EBUSY;
    ev_io_start(loop_of(fd), &side->watcher);
    side->waiter = fd->hub->current;
    return 0;
}

void ml_fd_unwatch(struct ml_fd *fd)
{
    for (int i = 0; i < 2; i++)
        if (fd->sides[i].waiter == fd->hub->current)
            fd->sides[i].waiter = NULL;
}
