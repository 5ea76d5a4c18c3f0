#include "hub/loop/backend.h"

#include "hub/loop/libev.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void ignore(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
}

static bool is_epoll(const char *number)
{
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/self/fd/%.16s", number);
    ssize_t size = readlink(path, target, sizeof target - 1);
    target[size > 0 ? size : 0] = '\0';
    return strcmp(target, "anon_inode:[eventpoll]") == 0;
}

/* Whether that epoll descriptor watches `fd` (proc(5): a line "tfd:" for each). */
static bool watches(const char *number, int fd)
{
    char path[64], line[256];
    int watched;
    bool found = false;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%.16s", number);
    FILE *info = fopen(path, "re");
    while (info != NULL && !found && fgets(line, sizeof line, info) != NULL)
        found = sscanf(line, "tfd: %d", &watched) == 1 && watched == fd;
    if (info != NULL)
        fclose(info);
    return found;
}

static int find_watcher_of(int fd)
{
    int found = -1;
    struct dirent *entry;
    DIR *all = opendir("/proc/self/fd");
    while (all != NULL && found < 0 && (entry = readdir(all)) != NULL)
        if (is_epoll(entry->d_name) && watches(entry->d_name, fd))
            found = atoi(entry->d_name);
    if (all != NULL)
        closedir(all);
    return found;
}

/* The loop is given a descriptor that no other epoll watches; the epoll descriptor that watches it
 * is the loop's. */
int ml_backend_descriptor(struct ev_loop *loop)
{
    ev_io watcher;
    int mark = eventfd(0, EFD_CLOEXEC);
    if (mark < 0 || ev_backend(loop) != EVBACKEND_EPOLL) {
        if (mark >= 0)
            close(mark);
        errno = ENOSYS;
        return -1;
    }
    ev_io_init(&watcher, ignore, mark, EV_READ);
    ev_io_start(loop, &watcher);
    ev_run(loop, EVRUN_NOWAIT);
    int found = find_watcher_of(mark);
    ev_io_stop(loop, &watcher);
    close(mark);
    if (found < 0)
        errno = ENOSYS;
    return found;
}
