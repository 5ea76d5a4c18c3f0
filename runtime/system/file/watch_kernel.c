#include "system/file/watch_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

void ml_watch_kernel_keep(struct ml_watch_kernel *kernel)
{
    atomic_fetch_add(&kernel->users, 1);
}

void ml_watch_kernel_drop(struct ml_watch_kernel *kernel)
{
    if (atomic_fetch_sub(&kernel->users, 1) != 1)
        return;
    close(kernel->fd);
    free(kernel);
}

/* inotify_init1() says EMFILE for two limits: the process' descriptors, and the user's inotify
 * descriptors. */
static int open_inotify(void)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd >= 0)
        return fd;
    if (errno != EMFILE)
        return -errno;
    fd = open("/", O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -EMFILE;
    close(fd);
    return -EUSERS;
}

int ml_watch_kernel_open(struct ml_watch_kernel **result)
{
    struct ml_watch_kernel *kernel = malloc(sizeof *kernel);
    if (kernel == NULL)
        return -ENOMEM;
    int fd = open_inotify();
    if (fd < 0) {
        free(kernel);
        return fd;
    }
    *kernel = (struct ml_watch_kernel){.users = 1, .fd = fd};
    *result = kernel;
    return 0;
}
