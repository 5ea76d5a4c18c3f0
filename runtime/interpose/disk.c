/* Locks on files, and calls that wait for a disk: those run on a worker thread. */
#include "hub/on/offload.h"
#include "interpose/call_wait.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

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

enum disk_work { WORK_FSYNC, WORK_FDATASYNC, WORK_RENAME, WORK_REMOVE };

struct disk_job {
    struct ml_job job;
    enum disk_work work;
    int fd; /* a duplicate: the task may be cancelled and close its own; -1: none */
    const char *path;
    const char *other; /* the new name */
    int result;
    char strings[];
};

static void run_disk(struct ml_job *job)
{
    struct disk_job *j = ml_container_of(job, struct disk_job, job);
    switch (j->work) {
    case WORK_FSYNC:
        j->result = ml_libc.fsync(j->fd);
        break;
    case WORK_FDATASYNC:
        j->result = ml_libc.fdatasync(j->fd);
        break;
    case WORK_RENAME:
        j->result = ml_libc.rename(j->path, j->other);
        break;
    case WORK_REMOVE:
        j->result = ml_libc.remove(j->path);
        break;
    }
}

static void release_disk(struct ml_job *job)
{
    struct disk_job *j = ml_container_of(job, struct disk_job, job);
    if (j->fd >= 0)
        ml_libc.close(j->fd);
    free(j);
}

/* Copies `path` and `other`; NULL: none. Returns NULL if there is no memory. */
static struct disk_job *new_job(enum disk_work work, const char *path, const char *other)
{
    size_t path_size = path != NULL ? strlen(path) + 1 : 0;
    size_t other_size = other != NULL ? strlen(other) + 1 : 0;
    struct disk_job *job = calloc(1, sizeof *job + path_size + other_size);
    if (job == NULL)
        return NULL;
    job->job = (struct ml_job){.run = run_disk, .release = release_disk};
    job->work = work;
    job->fd = -1;
    job->path = memcpy(job->strings, path != NULL ? path : "", path_size);
    job->other = memcpy(job->strings + path_size, other != NULL ? other : "", other_size);
    return job;
}

/* Runs the job. 0, with errno as the call left it; or -1 with errno set, and the job is freed. */
static int run(struct ml_libc_calls *calls, struct disk_job *job)
{
    int error = job != NULL ? ml_call_wait_job(calls, calls->entry, &job->job) : -ENOMEM;
    return error == 0 ? 0 : ml_fail(error);
}

static int run_for_result(struct ml_libc_calls *calls, struct disk_job *job)
{
    if (run(calls, job) != 0)
        return -1;
    int result = job->result;
    release_disk(&job->job);
    return result;
}

static int sync_file(struct ml_libc_calls *calls, enum disk_work work, int fd)
{
    int saved = errno;
    struct disk_job *job = new_job(work, NULL, NULL);
    if (job == NULL)
        return ml_fail(-ENOMEM);
    job->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (job->fd < 0) {
        free(job);
        errno = saved; /* without room for another descriptor the call blocks the thread */
        return work == WORK_FSYNC ? ml_libc.fsync(fd) : ml_libc.fdatasync(fd);
    }
    return run_for_result(calls, job);
}

int ml_co_fsync(struct ml_libc_calls *calls, int fd)
{
    return sync_file(calls, WORK_FSYNC, fd);
}

int ml_co_fdatasync(struct ml_libc_calls *calls, int fd)
{
    return sync_file(calls, WORK_FDATASYNC, fd);
}

int ml_co_rename(struct ml_libc_calls *calls, const char *from, const char *to)
{
    return from == NULL || to == NULL ? ml_libc.rename(from, to)
                                      : run_for_result(calls, new_job(WORK_RENAME, from, to));
}

int ml_co_remove(struct ml_libc_calls *calls, const char *path)
{
    return path == NULL ? ml_libc.remove(path)
                        : run_for_result(calls, new_job(WORK_REMOVE, path, NULL));
}
