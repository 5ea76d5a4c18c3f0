#include "interpose/exporter.h"

#include <dlfcn.h>
#include <errno.h>

/* libc's own, once it is found. */
static int (*epoll_wait_of_libc)(int fd, struct epoll_event *events, int room, int timeout);

static int epoll_wait_and_look(int fd, struct epoll_event *events, int room, int timeout)
{
    int count = epoll_wait_of_libc(fd, events, room, timeout);
    if (ml_unlikely(count < 0 && errno == EINTR))
        ml_exporter_interrupted();
    return count;
}

void ml_exporter_find_libc(struct ml_libc *libc)
{
#define FIND(type, name, parameters, arguments) *(void **)&libc->name = dlsym(RTLD_NEXT, #name);
    ML_CALLS(FIND)
#undef FIND
    epoll_wait_of_libc = libc->epoll_wait;
    libc->epoll_wait = epoll_wait_and_look;
    libc->plain_pclose = libc->pclose;
    libc->plain_fclose = libc->fclose;
    libc->is_exported = true;
}
