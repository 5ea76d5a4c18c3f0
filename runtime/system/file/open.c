#include "system/file/open.h"

#include "io/stream.h"
#include "system/file/fifo.h"
#include "system/file/file_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const struct ml_wait_kind fifo_kind = {.text = "the other end of a FIFO", .external = true};

/* The longest pause between two looks at a FIFO. */
#define LONGEST_PAUSE (25 * ML_MILLISECOND)

/* What was opened. */
enum { IS_DISK = 1, IS_LOCAL = 2, IS_FIFO = 4 };

/* Whether an open file can be waited for, as FIFOs and terminals. */
static bool can_be_waited_for(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int poll = epoll_create1(EPOLL_CLOEXEC);
    bool can = poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0;
    if (poll >= 0)
        close(poll);
    return can;
}

static int examine(struct ml_file_call *call)
{
    if (statx(call->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &call->status) != 0)
        return -errno;
    mode_t mode = call->status.stx_mode;
    if (S_ISDIR(mode))
        return -EISDIR;
    bool has_places = S_ISREG(mode) || S_ISBLK(mode) || !can_be_waited_for(call->fd);
    if (has_places)
        return ml_disk_is_local(call->fd) ? IS_DISK | IS_LOCAL : IS_DISK;
    return S_ISFIFO(mode) ? IS_FIFO : 0;
}

/* For a FIFO without a reader. */
static bool is_fifo(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISFIFO(status.st_mode);
}

static int make_open(struct ml_file_call *call)
{
    int flags = (int)call->flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    call->fd = open(call->path, flags, call->mode);
    if (call->fd >= 0)
        return examine(call);
    int error = -errno;
    return error == -ENXIO && is_fifo(call->path) ? IS_FIFO : error;
}

static int await_other_end(struct ml_hub *hub, struct ml_fifo *fifo, const char *path, int flags)
{
    ml_time pause = ML_MILLISECOND;
    int state = ml_fifo_try(fifo, path, flags | O_NOCTTY, 0);
    while (state == 0) {
        ml_time until = ml_time_after(ml_hub_now(hub), pause);
        do
            state = ml_wait(hub, &fifo_kind, 0, NULL, until);
        while (state == 0);
        pause = ml_time_earlier(2 * pause, LONGEST_PAUSE);
        if (state == -ETIMEDOUT)
            state = ml_fifo_try(fifo, path, flags | O_NOCTTY, 0);
    }
    return state;
}

/* Opens the closed file on a descriptor, which is taken over unless there is no memory. is_disk is
 * set already. */
static int adopt(struct ml_file *file, int fd, const struct statx *status, int flags)
{
    file->descriptor = malloc(sizeof *file->descriptor);
    if (file->descriptor == NULL)
        return -ENOMEM;
    *file->descriptor = (struct ml_descriptor){.fd = fd, .users = 1};
    file->appends = (flags & O_APPEND) != 0;
    file->at = (flags & O_ACCMODE) == O_WRONLY && file->appends ? (off_t)status->stx_size : 0;
    file->ahead = ML_FILE_LEAST_AHEAD;
    if (!file->is_disk)
        ml_fd_open(&file->stream.fd, fd);
    ml_stream_open(&file->stream, &ml_file_transport);
    return 0;
}

/* Takes over the descriptor that the call has opened. Read and write at once, a FIFO waits for
 * nobody. */
static int complete(struct ml_file *file, struct ml_file_call *call, int kind)
{
    struct ml_fifo fifo;
    int flags = (int)call->flags, error = 1;
    ml_fifo_init(&fifo);
    fifo.fd = call->fd;
    call->fd = -1;
    file->is_disk = (kind & IS_DISK) != 0;
    file->is_local = (kind & IS_LOCAL) != 0;
    if ((kind & IS_FIFO) != 0 && (flags & O_ACCMODE) != O_RDWR)
        error =
            await_other_end(file->stream.io->hub, &fifo, call->path, flags & ~(O_CREAT | O_TRUNC));
    if (error == 1)
        error = adopt(file, fifo.fd, &call->status, flags);
    ml_fifo_release(&fifo, error == 0);
    return error;
}

static int open_on_worker(struct ml_file *file, struct ml_disks *disks, const char *path, int flags,
                          mode_t mode)
{
    bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
    struct ml_file_call *call = ml_file_call_new(make_open, changes, path, NULL, NULL, 0);
    if (call == NULL)
        return -ENOMEM;
    call->flags = (unsigned)flags;
    call->mode = mode;
    int kind = ml_file_call_run(file->stream.io->hub, &call);
    if (kind >= 0 && call->fd >= 0 && (kind & IS_DISK) != 0)
        ml_disks_learn(disks, &call->status, (kind & IS_LOCAL) != 0);
    int error = kind < 0 ? kind : complete(file, call, kind);
    ml_file_call_free(call);
    return error;
}

int ml_file_open(struct ml_file *file, struct ml_disks *disks, const char *path, int flags,
                 mode_t mode)
{
    struct statx status;
    int fd = flags == O_RDONLY ? ml_quick_open(disks, path, &status) : -EAGAIN;
    if (fd == -EAGAIN)
        return open_on_worker(file, disks, path, flags, mode);
    if (fd < 0)
        return fd;
    file->is_disk = file->is_local = true;
    int error = adopt(file, fd, &status, flags);
    if (error != 0)
        close(fd);
    return error;
}
