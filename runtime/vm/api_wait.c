/* The public functions that wait. */
#include "moonlet.h"

#include "base/error.h"
#include "hub/on/poll_set.h"
#include "hub/switch/switch.h"
#include "hub/wait/slice.h"
#include "vm/moonlet_state.h"
#include "vm/runtimes.h"

#include <poll.h>

static const struct ml_wait_kind fd_kind = {
    .text = "a descriptor", .target = ML_TARGET_DESCRIPTOR, .external = true};

const char *moonlet_error_text(int error)
{
    return ml_error_text(error);
}

int moonlet_sleep(struct moonlet *m, double seconds)
{
    int error = ml_runtime_begin_wait(m);
    if (error != 0)
        return error;
    struct ml_hub *hub = &m->lua.hub;
    ml_time span = seconds > 0 ? ml_time_from_seconds(seconds) : 0;
    error = span > 0 ? ml_sleep_until(hub, ml_time_after(ml_hub_now(hub), span)) : ml_yield(hub);
    return ml_runtime_end_wait(m, error);
}

int moonlet_yield(struct moonlet *m)
{
    int error = ml_runtime_begin_wait(m);
    if (ml_unlikely(error != 0))
        return error;
    return ml_runtime_end_wait(m, ml_yield(&m->lua.hub));
}

/* The events the descriptor is ready for, 0: none, or a negated errno. */
static int ask(int fd, int events)
{
    struct pollfd question = {.fd = fd};
    question.events = (short)(((events & MOONLET_READABLE) != 0 ? POLLIN : 0) |
                              ((events & MOONLET_WRITABLE) != 0 ? POLLOUT : 0));
    if (poll(&question, 1, 0) < 0)
        return errno == EINTR ? 0 : -errno;
    if ((question.revents & POLLNVAL) != 0)
        return -EBADF;
    if ((question.revents & (POLLERR | POLLHUP)) != 0)
        return events;
    return ((question.revents & POLLIN) != 0 ? MOONLET_READABLE : 0) |
           ((question.revents & POLLOUT) != 0 ? MOONLET_WRITABLE : 0);
}

static int wait_once(struct ml_hub *hub, int fd, int events, ml_time deadline)
{
    struct ml_poll_set *set = ml_poll_set_open(hub, 1);
    if (set == NULL)
        return -ENOMEM;
    ml_poll_set_add(set, fd, events & MOONLET_READABLE, events & MOONLET_WRITABLE);
    int error = ml_poll_set_wait(set, &fd_kind, deadline);
    ml_poll_set_close(set);
    return error == -EINTR ? 0 : error;
}

int moonlet_wait_fd(struct moonlet *m, int fd, int events, double limit)
{
    events &= MOONLET_READABLE | MOONLET_WRITABLE;
    if (events == 0)
        return -EINVAL;
    int error = ml_runtime_begin_wait(m);
    if (error != 0)
        return error;
    if (fd < 0) /* poll() would skip it */
        return ml_runtime_end_wait(m, -EBADF);
    ml_time deadline = ml_runtime_deadline(m, limit);
    int ready = 0;
    error = ml_slice_point_until(&m->lua.hub, deadline);
    ml_slice_spend_call(&m->lua.hub, 0);
    while (error == 0 && (ready = ask(fd, events)) == 0)
        error =
            deadline == ML_NEVER_WAIT ? -ETIMEDOUT : wait_once(&m->lua.hub, fd, events, deadline);
    error = ml_runtime_end_wait(m, error);
    return error == 0 ? ready : error;
}
