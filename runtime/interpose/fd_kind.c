#include "interpose/fd_kind.h"

#include <errno.h>
#include <fcntl.h>

/* Whether nothing is asked over a wire. A disk with a device of its own is asked for its kind here;
 * of those without one, some would ask their server for that. */
static bool is_near(struct ml_libc_calls *calls, int fd, const struct statx *status)
{
    if (!S_ISREG(status->stx_mode) || ml_disks_is_local(&calls->disks, status))
        return true;
    if (status->stx_dev_major == 0 || ml_disks_know(&calls->disks, status))
        return false;
    bool is = ml_disk_is_local(fd);
    ml_disks_learn(&calls->disks, status, is);
    return is;
}

/* Without AT_STATX_DONT_SYNC a server is asked. Not fstat(): it asks for the times, too, and then
 * the next write must update them (measured, Linux 6.18 and ext4: 1.5 us). */
int ml_fd_kind_look(int fd, struct statx *status)
{
    int saved = errno;
    int error = statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, status);
    errno = saved;
    return error;
}

enum ml_fd_kind ml_fd_kind_find(struct ml_libc_calls *calls, int fd)
{
    struct statx status;
    enum ml_fd_kind kind = ML_FD_KIND_STREAM;
    calls->blind_fd = -1;
    if (ml_fd_kind_look(fd, &status) != 0)
        return ML_FD_KIND_STREAM;
    if (S_ISSOCK(status.stx_mode))
        kind = ML_FD_KIND_SOCKET;
    else if (ml_mode_is_disk(status.stx_mode))
        kind = is_near(calls, fd, &status) ? ML_FD_KIND_DISK : ML_FD_KIND_FAR;
    if (kind == ML_FD_KIND_DISK && ml_disks_is_blind(&calls->disks, &status))
        calls->blind_fd = fd;
    if ((unsigned)fd < ML_FD_KINDS)
        calls->fd_kinds[fd] = (uint8_t)kind;
    return kind;
}
