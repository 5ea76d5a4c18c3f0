#include "interpose/disk_reading.h"

#include "interpose/call_wait.h"
#include "interpose/fd_kind.h"
#include "interpose/result.h"
#include "system/file/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The most that a worker reads at a time, bytes. */
enum { MOST = 256 * 1024 };

/* Where the memory begins, for files that were opened with O_DIRECT. */
enum { PAGE = 4096 };

static int make_learn(struct ml_file_call *call)
{
    return ml_disk_is_local((int)call->numbers[0]);
}

static void learn(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                  const struct statx *status)
{
    struct ml_file_call *call = ml_file_call_new(make_learn, false, NULL, NULL, NULL, 0);
    if (call == NULL)
        return;
    call->numbers[0] = fd;
    if (ml_call_wait_job(calls, entry, &call->job) != 0)
        return;
    ml_disks_learn(&calls->disks, status, call->result != 0);
    ml_file_call_free(call);
}

bool ml_disk_is_near(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd)
{
    struct statx status;
    int saved = errno;
    enum ml_fd_kind kind = ml_fd_kind_find(calls, fd);
    if (kind == ML_FD_KIND_FAR && ml_fd_kind_look(fd, &status) == 0 &&
        !ml_disks_know(&calls->disks, &status)) {
        learn(calls, entry, fd, &status);
        kind = ml_fd_kind_find(calls, fd);
    }
    errno = saved;
    return kind == ML_FD_KIND_DISK;
}

ssize_t ml_disk_peek(int fd, void *memory, size_t room)
{
    struct iovec piece = {memory, room};
    int saved = errno;
    ssize_t got = preadv2(fd, &piece, 1, -1, RWF_NOWAIT);
    if (got >= 0)
        return got;
    int error = errno;
    errno = saved;
    return error == ENOSYS ? -EOPNOTSUPP : error == EINTR ? -EAGAIN : -error;
}

static int make_read(struct ml_file_call *call)
{
    ssize_t count;
    if (posix_memalign((void **)&call->data, PAGE, call->max) != 0)
        return -ENOMEM;
    do
        count = pread((int)call->numbers[1], call->data, call->max, call->numbers[0]);
    while (count < 0 && errno == EINTR);
    call->size = count > 0 ? (size_t)count : 0;
    return count < 0 ? -errno : 0;
}

struct ml_file_call *ml_disk_fetch(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                                   size_t most, int *error)
{
    int saved = errno;
    off_t offset = lseek(fd, 0, SEEK_CUR);
    struct ml_file_call *call =
        offset < 0 ? NULL : ml_file_call_new(make_read, false, NULL, NULL, NULL, 0);
    *error = offset < 0 ? -ESPIPE : -ENOMEM;
    if (call == NULL)
        return NULL;
    call->max = most < MOST ? most : MOST;
    call->numbers[0] = offset;
    call->numbers[1] = fd;
    *error = ml_call_wait_job(calls, entry, &call->job);
    errno = saved;
    if (*error != 0)
        return NULL;
    if (ml_fd_kind_has_disk(ml_fd_kind_find(calls, fd)))
        return call;
    ml_file_call_free(call);
    *error = -EBADF;
    return NULL;
}

void ml_disk_advance(int fd, const struct ml_file_call *call, size_t size)
{
    int saved = errno;
    lseek(fd, call->numbers[0] + (off_t)size, SEEK_SET);
    errno = saved;
}

ssize_t ml_disk_read(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd, void *memory,
                     size_t room)
{
    int error;
    ssize_t got = ml_disk_peek(fd, memory, room);
    if (got == -EOPNOTSUPP && ml_disk_is_near(calls, entry, fd))
        return ml_libc.read(fd, memory, room);
    if (got != -EAGAIN && got != -EOPNOTSUPP)
        return got >= 0 ? got : ml_fail((int)got);
    struct ml_file_call *call = ml_disk_fetch(calls, entry, fd, room, &error);
    if (call == NULL)
        return error == -ESPIPE ? ml_libc.read(fd, memory, room) : ml_fail(error);
    error = call->result;
    size_t size = call->size;
    if (size > 0)
        memcpy(memory, call->data, size);
    ml_disk_advance(fd, call, size);
    ml_file_call_free(call);
    return error == 0 ? (ssize_t)size : ml_fail(error);
}
