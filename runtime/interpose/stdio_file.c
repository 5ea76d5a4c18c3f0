#include "interpose/stdio_file.h"

#include "interpose/child_file.h"
#include "interpose/closing.h"
#include "interpose/fd_kind.h"
#include "interpose/held_locks.h"
#include "interpose/result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int ml_stdio_slow_fd(struct ml_libc_calls *calls, FILE *file, bool may_call)
{
    int saved = errno;
    int fd = fileno_unlocked(file);
    errno = saved;
    if (fd < 0)
        return -1;
    bool is_disk =
        may_call ? ml_fd_kind_is_disk(calls, fd) : ml_fd_kind_of(calls, fd) == ML_FD_KIND_DISK;
    return is_disk ? -1 : fd;
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

int ml_stdio_close(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file)
{
    int fd = ml_stdio_slow_fd(calls, file, true);
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
    if (!is_alone)
        close_later(calls, file);
    else if (ml_libc.plain_fclose(file) != 0 && error == 0)
        error = -errno;
    return error;
}

int ml_co_fclose(struct ml_libc_calls *calls, FILE *file)
{
    bool is_ours;
    if (ml_child_file_pid(file, &is_ours) != 0)
        return ml_co_pclose(calls, file);
    int error = ml_stdio_close(calls, calls->entry, file);
    return error == 0 ? 0 : ml_fail(error);
}
