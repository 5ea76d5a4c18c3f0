/* Locks on files, and calls that wait for a disk: those run on a worker thread. */
#include "interpose/call_wait.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"
#include "system/file/paths.h"

#include <errno.h>
#include <fcntl.h>

struct lock_call {
    int fd;
    int operation;
    off_t size;
};

/* Tries until it works, as the kernel does not report when a file lock becomes free. try: must not
 * block; -1 with EAGAIN or EACCES: another process has the lock. */
static int try_for_lock(struct ml_libc_calls *calls, int (*try)(const struct lock_call *),
                        int (*plainly)(const struct lock_call *), const struct lock_call *call)
{
    struct ml_libc_call entry = calls->entry;
    ml_time pause = ML_FIRST_PAUSE;
    int saved = errno, error = 0, result = try(call);
    while (result != 0 && error == 0 && (errno == EAGAIN || errno == EACCES)) {
        error = ml_call_wait_pause(calls, entry, &pause);
        if (error == 0)
            result = try(call);
    }
    if (result == 0)
        errno = saved;
    if (error == ML_PLAINLY)
        return plainly(call);
    return error == 0 ? result : ml_fail(error);
}

static int try_flock(const struct lock_call *call)
{
    return ml_libc.flock(call->fd, call->operation | LOCK_NB);
}

static int flock_plainly(const struct lock_call *call)
{
    return ml_libc.flock(call->fd, call->operation);
}

int ml_co_flock(struct ml_libc_calls *calls, int fd, int operation)
{
    struct lock_call call = {fd, operation, 0};
    if ((operation & (LOCK_NB | LOCK_UN)) != 0)
        return ml_libc.flock(fd, operation);
    return try_for_lock(calls, try_flock, flock_plainly, &call);
}

static int try_lockf(const struct lock_call *call)
{
    return ml_libc.lockf(call->fd, F_TLOCK, call->size);
}

static int lockf_plainly(const struct lock_call *call)
{
    return ml_libc.lockf(call->fd, F_LOCK, call->size);
}

int ml_co_lockf(struct ml_libc_calls *calls, int fd, int operation, off_t size)
{
    struct lock_call call = {fd, operation, size};
    if (operation != F_LOCK)
        return ml_libc.lockf(fd, operation, size);
    return try_for_lock(calls, try_lockf, lockf_plainly, &call);
}

/* ---- on a worker ---- */

static int make_fsync(struct ml_file_call *call)
{
    return ml_libc.fsync((int)call->numbers[0]) == 0 ? 0 : -errno;
}

static int make_fdatasync(struct ml_file_call *call)
{
    return ml_libc.fdatasync((int)call->numbers[0]) == 0 ? 0 : -errno;
}

/* Makes the call, and frees it: 0, with errno as it was; or -1 with errno set. */
static int run(struct ml_libc_calls *calls, struct ml_file_call *call)
{
    int saved = errno;
    int error = call != NULL ? ml_call_wait_job(calls, calls->entry, &call->job) : -ENOMEM;
    if (error != 0)
        return ml_fail(error);
    error = call->result;
    ml_file_call_free(call);
    errno = saved;
    return error == 0 ? 0 : ml_fail(error);
}

/* Not on a duplicate: to close that would give up the POSIX locks that the process has on the file
 * (fcntl(2)), as SQLite has while it syncs. If the task is cancelled and the number is another
 * file's before the worker has begun, that is synced. */
static int sync_file(struct ml_libc_calls *calls, int (*make)(struct ml_file_call *), int fd)
{
    struct ml_file_call *call = ml_file_call_new(make, false, NULL, NULL, NULL, 0);
    if (call == NULL)
        return ml_fail(-ENOMEM);
    call->numbers[0] = fd;
    return run(calls, call);
}

int ml_co_fsync(struct ml_libc_calls *calls, int fd)
{
    return sync_file(calls, make_fsync, fd);
}

int ml_co_fdatasync(struct ml_libc_calls *calls, int fd)
{
    return sync_file(calls, make_fdatasync, fd);
}

int ml_co_rename(struct ml_libc_calls *calls, const char *from, const char *to)
{
    if (from == NULL || to == NULL)
        return ml_libc.rename(from, to);
    return run(calls, ml_file_call_new(ml_file_rename, true, from, to, NULL, 0));
}

int ml_co_remove(struct ml_libc_calls *calls, const char *path)
{
    if (path == NULL)
        return ml_libc.remove(path);
    return run(calls, ml_file_call_new(ml_file_remove, true, path, NULL, NULL, 0));
}
