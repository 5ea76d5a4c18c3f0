#include "system/file/file_lock.h"

#include "base/error.h"
#include "hub/state/hub.h"
#include "hub/wait/wait.h"
#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

static const struct ml_wait_kind lock_kind = {.text = "a lock on a file", .external = true};

/* The longest pause between two tries for a lock. */
#define LONGEST_PAUSE (25 * ML_MILLISECOND)

/* ---- holders ---- */

static void note_holder(struct ml_file *file)
{
    struct ml_io *io = file->stream.io;
    file->lock_holder = io->hub->current->id;
    ml_list_insert(&io->locked_files, &file->locked_link);
}

static bool get_status(const struct ml_file *file, struct statx *status)
{
    int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
    return statx(file->descriptor->fd, "", flags, STATX_INO, status) == 0;
}

static bool is_same(const struct ml_file *file, const struct statx *status)
{
    struct statx other;
    return get_status(file, &other) && other.stx_ino == status->stx_ino &&
           other.stx_dev_major == status->stx_dev_major &&
           other.stx_dev_minor == status->stx_dev_minor;
}

/* Whether the running task holds a lock of this file, by whatever file object. Two that are shared
 * exclude each other not, so the question is asked only where a lock is in the way. */
static bool is_holder(const struct ml_file *file)
{
    const struct ml_io *io = file->stream.io;
    const struct ml_link *link = io->locked_files.next;
    struct statx status;
    bool is_known = get_status(file, &status), holds = false;
    for (; link != &io->locked_files && !holds; link = link->next) {
        const struct ml_file *other = ml_container_of(link, const struct ml_file, locked_link);
        holds = other->lock_holder == io->hub->current->id &&
                (other == file || (is_known && is_same(other, &status)));
    }
    return holds;
}

/* ---- locking ---- */

static int make_lock(struct ml_file_call *call)
{
    return flock(ml_file_number(call), (int)call->flags | LOCK_NB) == 0 ? 0 : -errno;
}

static int lock_by_worker(struct ml_file *file, int how)
{
    struct ml_file_call *call = ml_file_new_call(file, make_lock, true, 0);
    if (call == NULL)
        return -ENOMEM;
    call->flags = (unsigned)how;
    int error = ml_file_call_run(file->stream.io->hub, &call);
    ml_file_call_free(call);
    return error;
}

/* -EAGAIN: another one has it. A disk of a server is asked by a worker. */
static int try_to_lock(struct ml_file *file, bool is_shared)
{
    int how = is_shared ? LOCK_SH : LOCK_EX, error = 0;
    if (ml_link_is_in_list(&file->locked_link))
        return -EAGAIN;
    note_holder(file); /* another task of this file object waits meanwhile */
    if (!file->is_local)
        error = lock_by_worker(file, how);
    else if (flock(file->descriptor->fd, how | LOCK_NB) != 0)
        error = -errno;
    if (error != 0)
        ml_file_forget_lock(file);
    return ml_stream_after_wait(&file->stream, error);
}

/* Pauses, and tries again, for as long as another one has the lock. */
static int try_again_until(struct ml_file *file, bool is_shared, ml_time deadline)
{
    struct ml_hub *hub = file->stream.io->hub;
    ml_time pause = ML_MILLISECOND;
    int error = -EAGAIN;
    while (error == -EAGAIN) {
        ml_time until = ml_time_earlier(deadline, ml_time_after(ml_hub_now(hub), pause));
        do
            error = ml_wait(hub, &lock_kind, 0, NULL, until);
        while (error == 0);
        pause = ml_time_earlier(2 * pause, LONGEST_PAUSE);
        error = error != -ETIMEDOUT                 ? error
                : !ml_stream_is_open(&file->stream) ? -ML_ECLOSED
                                                    : try_to_lock(file, is_shared);
        if (error == -EAGAIN && (deadline == ML_NEVER_WAIT || ml_hub_now(hub) >= deadline))
            error = -ETIMEDOUT;
    }
    return error;
}

int ml_file_lock(struct ml_file *file, bool is_shared, ml_time deadline)
{
    int error = ml_stream_is_open(&file->stream) ? try_to_lock(file, is_shared) : -ML_ECLOSED;
    if (error == -EAGAIN && is_holder(file))
        error = -ML_ELOCKED;
    return error == -EAGAIN ? try_again_until(file, is_shared, deadline) : error;
}

void ml_file_unlock(struct ml_file *file)
{
    if (ml_link_is_in_list(&file->locked_link) && ml_stream_is_open(&file->stream))
        flock(file->descriptor->fd, LOCK_UN);
    ml_file_forget_lock(file);
}
