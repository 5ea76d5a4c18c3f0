#include "system/file/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

void ml_fifo_init(struct ml_fifo *fifo)
{
    *fifo = (struct ml_fifo){.fd = -1, .scratch = {-1, -1}};
}

/* For a FIFO that is open for reading: whether it has a writer. It has if there are bytes, or if
 * tee(2) says that there might be some. */
static bool has_writer(const struct ml_fifo *fifo)
{
    int bytes = 0;
    return (ioctl(fifo->fd, FIONREAD, &bytes) == 0 && bytes > 0) ||
           tee(fifo->fd, fifo->scratch[1], 1, SPLICE_F_NONBLOCK) != 0;
}

/* A descriptor for writing exists only if there is a reader. */
int ml_fifo_try(struct ml_fifo *fifo, const char *path, int flags, mode_t mode)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (!writes && fifo->scratch[0] < 0 && pipe2(fifo->scratch, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    if (fifo->fd < 0)
        fifo->fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, mode);
    if (fifo->fd < 0)
        return errno == ENXIO ? 0 : -errno;
    return writes || has_writer(fifo);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void ml_fifo_release(struct ml_fifo *fifo, int keeps)
{
    close_one(&fifo->scratch[0]);
    close_one(&fifo->scratch[1]);
    if (!keeps)
        close_one(&fifo->fd);
}
