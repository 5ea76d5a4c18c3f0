/* The names in a program that is linked with the runtime. */
#include "interpose/exporter.h"

#include <errno.h>

/* libc's, once it is found. */
static int (*epoll_wait_of_libc)(int fd, struct epoll_event *events, int room, int timeout);

/* The hub's loop makes this call, too, outside of any task: there a signal that came shows itself. */
static int epoll_wait_and_look(int fd, struct epoll_event *events, int room, int timeout)
{
    int count = epoll_wait_of_libc(fd, events, room, timeout);
    if (ml_unlikely(count < 0 && errno == EINTR))
        ml_foreign_interrupted();
    return count;
}

static void find_libc(void)
{
    ml_exporter_find_libc(&ml_libc);
    epoll_wait_of_libc = ml_libc.epoll_wait;
    ml_libc.epoll_wait = epoll_wait_and_look;
}

/* Before the constructors of the libraries, which may make calls. */
__attribute__((section(".preinit_array"), used)) static void (*const at_start)(void) = find_libc;

/* What the linker sends moonlet's own calls to. */
#define DIRECT(type, name, parameters, arguments)                                                  \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return ml_libc.name arguments;                                                             \
    }

ML_WAITING_CALLS(DIRECT)
ML_WATCHED_CALLS(DIRECT)
