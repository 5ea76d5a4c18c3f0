#include "interpose/stdio_file.h"

#include "interpose/call_wait.h"
#include "interpose/child_file.h"
#include "interpose/closing.h"
#include "interpose/fd_kind.h"
#include "interpose/held_locks.h"
#include "interpose/result.h"
#include "interpose/stdio_buffer.h"
#include "system/file/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int fd_of(FILE *file)
{
    int saved = errno;
    int fd = fileno_unlocked(file);
    errno = saved;
    return fd;
}

int ml_stdio_slow_fd(struct ml_libc_calls *calls, FILE *file, bool may_call)
{
    int fd = fd_of(file);
    if (fd < 0)
        return -1;
    enum ml_fd_kind kind = may_call ? ml_fd_kind_check(calls, fd) : ml_fd_kind_of(calls, fd);
    bool is_quick = kind == ML_FD_KIND_DISK || (kind == ML_FD_KIND_FAR && !may_call);
    return is_quick ? -1 : fd;
}

int ml_stdio_input_fd(struct ml_libc_calls *calls, FILE *file, bool may_call)
{
    int fd = fd_of(file);
    if (fd < 0)
        return -1;
    enum ml_fd_kind kind = may_call ? ml_fd_kind_check(calls, fd) : ml_fd_kind_of(calls, fd);
    return ml_fd_kind_has_disk(kind) && !may_call ? -1 : fd;
}

void ml_stdio_enter(struct ml_libc_calls *calls, FILE *file)
{
    struct ml_libc_call entry = calls->entry;
    ml_co_flockfile(calls, file);
    calls->entry = entry;
}

void ml_stdio_leave(struct ml_libc_calls *calls, FILE *file)
{
    ml_co_funlockfile(calls, file);
}

/* ---- closing ---- */

/* A file that was closed while another task used it. It may be freed only after that task has left
 * it. */
struct ml_unclosed {
    struct ml_unclosed *next;
    FILE *file;
};

/* Redirects the file's number to something that can neither be read nor written, until the file is
 * closed. */
static void cut(int fd)
{
    int nothing = open("/", O_PATH | O_CLOEXEC);
    if (nothing < 0)
        return;
    ml_libc.dup3(nothing, fd, O_CLOEXEC);
    ml_libc.close(nothing);
}

/* Whether another task is in the file, or waits for its lock. */
static bool is_in_use(struct ml_libc_calls *calls, FILE *file)
{
    return ml_lock_await(calls, file, ML_LOCK_WHOLE, ML_NEVER_WAIT) != 0 ||
           ml_lock_await(calls, ml_stdio_queue(file), ML_LOCK_WHOLE, ML_NEVER_WAIT) != 0;
}

/* 0, or an error of ml_lock_await(): other tasks are still in it. */
static int await_last(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file)
{
    int error = 0;
    while (error == 0 && is_in_use(calls, file)) {
        calls->entry = entry;
        error = ml_lock_await(calls, ml_stdio_queue(file), ML_LOCK_WHOLE, ML_FOREVER);
        calls->entry = entry;
        if (error == 0)
            error = ml_lock_await(calls, file, ML_LOCK_WHOLE, ML_FOREVER);
    }
    return error;
}

/* Tasks that reach the file's lock before this task find nothing to read or write there. */
bool ml_stdio_turn_away(struct ml_libc_calls *calls, FILE *file)
{
    int fd = fileno_unlocked(file);
    if (fd >= 0 && is_in_use(calls, file))
        cut(fd);
    if (fd >= 0)
        ml_closing_note(calls, fd);
    int error = await_last(calls, calls->entry, file);
    if (fd >= 0)
        ml_closing_note(calls, fd);
    return error == 0;
}

/* The unwritten bytes are lost: libc must not try again, and wait. */
static void forget_output(FILE *file)
{
    file->_IO_write_ptr = file->_IO_write_base;
}

static void close_later(struct ml_libc_calls *calls, FILE *file)
{
    struct ml_unclosed *unclosed = malloc(sizeof *unclosed);
    forget_output(file);
    if (unclosed == NULL)
        return;
    *unclosed = (struct ml_unclosed){calls->unclosed, file};
    calls->unclosed = unclosed;
}

/* A task that let go of the file's lock has left libc's code, too, as it does not run now. */
void ml_stdio_sweep(struct ml_libc_calls *calls)
{
    struct ml_unclosed **place = &calls->unclosed;
    while (*place != NULL) {
        struct ml_unclosed *unclosed = *place;
        if (is_in_use(calls, unclosed->file)) {
            place = &unclosed->next;
            continue;
        }
        *place = unclosed->next;
        ml_libc.plain_fclose(unclosed->file);
        free(unclosed);
    }
}

void ml_stdio_release(struct ml_libc_calls *calls)
{
    while (calls->unclosed != NULL) {
        struct ml_unclosed *unclosed = calls->unclosed;
        calls->unclosed = unclosed->next;
        ml_libc.plain_fclose(unclosed->file);
        free(unclosed);
    }
}

static int make_close(struct ml_file_call *call)
{
    FILE *file = call->object;
    call->object = NULL;
    return ml_libc.plain_fclose(file) == 0 ? 0 : -errno;
}

static void close_object(void *file)
{
    ml_libc.plain_fclose(file);
}

static void free_call(struct ml_job *job)
{
    ml_file_call_free(ml_container_of(job, struct ml_file_call, job));
}

/* Whether a finalizer closes the file, and nothing can be lost: the worker may be late. */
static bool is_left(const struct ml_libc_calls *calls, const FILE *file)
{
    return calls->owner.is_finalizing != NULL && calls->owner.is_finalizing(calls->hub) &&
           ml_stdio_pending(file) == 0;
}

/* On FUSE and NFS closing waits for the server. 0 or a negated errno; after a cancellation the file
 * is closed all the same, by the worker or with the call. */
static int close_far(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file)
{
    struct ml_file_call *call = ml_file_call_new(make_close, false, NULL, NULL, NULL, 0);
    if (call == NULL)
        return ml_libc.plain_fclose(file) == 0 ? 0 : -errno;
    call->object = file;
    call->free_object = close_object;
    call->job.must_run = true;
    if (is_left(calls, file)) {
        call->job.finished = free_call;
        ml_offload_start(calls->hub, &call->job);
        return 0;
    }
    int error = ml_call_wait_job(calls, entry, &call->job);
    if (error != 0)
        return error;
    error = call->result;
    ml_file_call_free(call);
    return error;
}

static int close_alone(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file,
                       bool is_far)
{
    if (is_far)
        return close_far(calls, entry, file);
    return ml_libc.plain_fclose(file) == 0 ? 0 : -errno;
}

int ml_stdio_close(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file)
{
    int fd = ml_stdio_slow_fd(calls, file, true);
    bool is_far = fd >= 0 && ml_fd_kind_of(calls, fd) == ML_FD_KIND_FAR;
    int error = 0;
    ml_stdio_sweep(calls);
    calls->entry = entry;
    if (fd >= 0 && ml_co_fflush(calls, file) != 0)
        error = -errno;
    calls->entry = entry;
    bool is_alone = ml_stdio_turn_away(calls, file);
    if (error != 0)
        forget_output(file);
    ml_child_file_strike(file);
    if (!is_alone) {
        close_later(calls, file);
        return error;
    }
    int close_error = close_alone(calls, entry, file, is_far);
    return error == 0 ? close_error : error;
}

int ml_co_fclose(struct ml_libc_calls *calls, FILE *file)
{
    bool is_ours;
    if (ml_child_file_pid(file, &is_ours) != 0)
        return ml_co_pclose(calls, file);
    int error = ml_stdio_close(calls, calls->entry, file);
    return error == 0 ? 0 : ml_fail(error);
}
