/* The names in a library that is loaded before libc, for a program that knows nothing of it. */
#include "interpose/exporter.h"

#include <errno.h>
#include <string.h>

const struct ml_interposition *ml_exporter_runtime;

/* Written once, before anybody else can call. */
static struct ml_libc libc;
static int (*epoll_wait_of_libc)(int fd, struct epoll_event *events, int room, int timeout);

static int epoll_wait_and_look(int fd, struct epoll_event *events, int room, int timeout)
{
    int count = epoll_wait_of_libc(fd, events, room, timeout);
    if (ml_unlikely(count < 0 && errno == EINTR) && ml_exporter_runtime != NULL)
        ml_exporter_runtime->interrupted();
    return count;
}

static __attribute__((noinline)) void find_libc(void)
{
    ml_exporter_find_libc(&libc);
    epoll_wait_of_libc = libc.epoll_wait;
    libc.epoll_wait = epoll_wait_and_look;
}

const struct ml_libc *ml_exporter_libc(void)
{
    if (ml_unlikely(!libc.is_exported))
        find_libc();
    return &libc;
}

/* The runtime makes itself known when the first one is created. */
__attribute__((visibility("default"))) void moonlet_interpose_attach(
    const struct ml_interposition *runtime);

void moonlet_interpose_attach(const struct ml_interposition *runtime)
{
    if (strcmp(runtime->version, MOONLET_VERSION) != 0)
        return;
    *runtime->libc = *ml_exporter_libc();
    ml_exporter_runtime = runtime;
}
