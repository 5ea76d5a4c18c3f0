#include "interpose/call_wait.h"

#include "hub/on/poll_set.h"
#include "interpose/fd_kind.h"
#include "interpose/libc_call.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

static const struct ml_wait_kind fd_wait = {
    .text = "a descriptor, in a C library", .target = ML_TARGET_DESCRIPTOR, .external = true};
static const struct ml_wait_kind time_wait = {.text = "the clock, in a C library",
                                              .external = true};
static const struct ml_wait_kind worker_wait = {.text = "a worker thread, in a C library",
                                                .external = true};

#define LONGEST_PAUSE (20 * ML_MILLISECOND)

/* Whether the number stands for the same file as before. (Files without a name, such as eventfds,
 * cannot be told apart.) */
static bool is_same_file(int fd, const struct stat *before)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino;
}

int ml_call_wait_fd(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd, short events,
                    ml_time deadline)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return -EBADF;
    int error = ml_mode_is_disk(file.st_mode) ? ML_PLAINLY : ml_libc_call_begin(calls, entry);
    if (error != 0)
        return error;
    struct ml_poll_set *set = ml_poll_set_open(calls->hub, 1);
    if (set != NULL) {
        ml_poll_set_add(set, fd, events & POLLIN, events & POLLOUT);
        error = ml_poll_set_wait(set, &fd_wait, deadline);
        ml_poll_set_close(set);
    } else {
        error = -ENOMEM;
    }
    ml_libc_call_end(calls, error);
    return error == 0 && !is_same_file(fd, &file) ? -EBADF : error;
}

int ml_call_wait_time(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time deadline)
{
    int error = ml_libc_call_begin(calls, entry);
    if (error != 0)
        return error;
    struct ml_poll_set *set = ml_poll_set_open(calls->hub, 0);
    error = set != NULL ? ml_poll_set_wait(set, &time_wait, deadline) : -ENOMEM;
    ml_poll_set_close(set);
    ml_libc_call_end(calls, error);
    return error;
}

int ml_call_wait_pause(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time *pause)
{
    int error = ml_call_wait_time(calls, entry, ml_time_after(ml_hub_now(calls->hub), *pause));
    *pause = ml_time_earlier(2 * *pause, LONGEST_PAUSE);
    return error == -ETIMEDOUT ? 0 : error;
}

int ml_call_wait_job(struct ml_libc_calls *calls, struct ml_libc_call entry, struct ml_job *job)
{
    if (ml_libc_call_begin(calls, entry) == ML_PLAINLY) {
        job->run(job);
        return 0;
    }
    int error = ml_offload(calls->hub, &worker_wait, job, ML_FOREVER);
    ml_libc_call_end(calls, error);
    if (error == 0)
        errno = job->saved_errno;
    return error;
}
