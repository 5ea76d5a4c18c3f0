/* Calls that open a file. Opening a FIFO waits for its other end. A file on a disk is opened at
 * once if its name is in memory and the disk asks no server, else by a worker. */
#include "interpose/call_wait.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"
#include "interpose/stdio_file.h"
#include "system/file/call.h"
#include "system/file/fifo.h"
#include "system/file/quick.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The flags of open() for a mode of fopen(). -1: the mode never makes a FIFO wait. */
static int flags_of(const char *mode)
{
    int flags = *mode == 'r' ? O_RDONLY : *mode == 'w' ? O_WRONLY | O_CREAT | O_TRUNC : -1;
    if (*mode == 'a')
        flags = O_WRONLY | O_CREAT | O_APPEND;
    if (flags < 0 || strchr(mode, '+') != NULL)
        return -1;
    return flags | (strchr(mode, 'x') != NULL ? O_EXCL : 0);
}

static bool is_fifo(const char *path)
{
    struct stat status;
    int saved = errno;
    bool is = stat(path, &status) == 0 && S_ISFIFO(status.st_mode);
    errno = saved;
    return is;
}

/* Polls, as the kernel does not report when the other end is opened. 0 or a negated errno. */
static int await_other_end(struct ml_libc_calls *calls, struct ml_libc_call entry,
                           struct ml_fifo *fifo, const char *path, int flags)
{
    ml_time pause = ML_FIRST_PAUSE;
    int error = 0, state = ml_fifo_try(fifo, path, flags, 0666);
    while (state == 0 && error == 0) {
        error = ml_call_wait_pause(calls, entry, &pause);
        if (error == 0)
            state = ml_fifo_try(fifo, path, flags, 0666);
    }
    return state < 0 ? state : error;
}

static int open_fifo(struct ml_libc_calls *calls, struct ml_libc_call entry, const char *path,
                     int flags, int *fd)
{
    struct ml_fifo fifo;
    ml_fifo_init(&fifo);
    int error = await_other_end(calls, entry, &fifo, path, flags);
    ml_fifo_release(&fifo, error == 0);
    if (error == 0)
        fcntl(fifo.fd, F_SETFL, fcntl(fifo.fd, F_GETFL) & ~O_NONBLOCK);
    *fd = fifo.fd;
    return error;
}

/* fopen() of a FIFO. */
static FILE *fopen_fifo(struct ml_libc_calls *calls, const char *path, const char *mode)
{
    struct ml_libc_call entry = calls->entry;
    int fd, saved = errno, error = open_fifo(calls, entry, path, flags_of(mode), &fd);
    if (error == ML_PLAINLY)
        return ml_libc.fopen64(path, mode);
    if (error != 0)
        return ml_fail(error), NULL;
    FILE *file = fdopen(fd, mode);
    if (file == NULL)
        ml_libc.close(fd);
    else
        errno = saved;
    return file;
}

/* `mode`, and the flag that children do not inherit the file. NULL: no memory, or not a mode. */
static char *private_mode(const char *mode)
{
    size_t size = strcspn(mode, ",");
    char *text = strchr("rwa", *mode) != NULL && *mode != '\0' ? malloc(strlen(mode) + 2) : NULL;
    if (text == NULL)
        return NULL;
    memcpy(text, mode, size);
    text[size] = 'e';
    memcpy(text + size + 1, mode + size, strlen(mode + size) + 1);
    return text;
}

/* Commands that other tasks start do not inherit the file. */
static FILE *fopen_plainly(const char *path, const char *mode)
{
    char *text = private_mode(mode);
    FILE *file = ml_libc.fopen64(path, text != NULL ? text : mode);
    int saved = errno;
    free(text);
    errno = saved;
    return file;
}

/* ---- where it is ---- */

enum place { IS_NEAR, IS_FIFO, IS_UNKNOWN };

static enum place place_of(struct ml_libc_calls *calls, const char *path,
                           const struct statx *status)
{
    if (S_ISFIFO(status->stx_mode))
        return IS_FIFO;
    bool is_far = S_ISREG(status->stx_mode) || S_ISDIR(status->stx_mode);
    return !is_far || ml_disks_ask(&calls->disks, path, status) ? IS_NEAR : IS_UNKNOWN;
}

/* Where a new file would be: its directory is asked. */
static enum place place_of_new(struct ml_libc_calls *calls, const char *path)
{
    char directory[PATH_MAX];
    struct statx status;
    const char *slash = strrchr(path, '/');
    size_t size = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    if (size >= sizeof directory)
        return IS_UNKNOWN;
    memcpy(directory, path, size);
    strcpy(directory + size, ".");
    return ml_quick_stat(directory, true, &status) == 0 ? place_of(calls, directory, &status)
                                                        : IS_UNKNOWN;
}

/* Asks no disk and no server. */
static enum place find_place(struct ml_libc_calls *calls, const char *path, const char *mode)
{
    struct statx status;
    int saved = errno;
    enum place place = IS_UNKNOWN;
    int error = ml_path_is_kernels(path) ? -ENOTSUP : ml_quick_stat(path, true, &status);
    if (error == 0)
        place = place_of(calls, path, &status);
    else if (error == -ENOENT && *mode != 'r')
        place = place_of_new(calls, path);
    else if (error != -EAGAIN)
        place = IS_NEAR; /* and the same error */
    errno = saved;
    return place;
}

/* ---- by a worker ---- */

/* Results of make_open(). */
enum { HAS_OPENED, FOUND_FIFO };

static int make_open(struct ml_file_call *call)
{
    if (call->flags != 0 && is_fifo(call->path))
        return FOUND_FIFO;
    FILE *file = fopen_plainly(call->path, call->other);
    if (file == NULL)
        return -errno;
    call->object = file;
    int fd = fileno(file);
    call->is_synced =
        statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &call->status) == 0 && ml_disk_is_local(fd);
    return HAS_OPENED;
}

static void close_object(void *file)
{
    ml_libc.plain_fclose(file);
}

static FILE *open_on_worker(struct ml_libc_calls *calls, const char *path, const char *mode,
                            bool *is_other)
{
    int saved = errno;
    bool changes = *mode == 'w' || *mode == 'a';
    struct ml_file_call *call = ml_file_call_new(make_open, changes, path, mode, NULL, 0);
    if (call == NULL)
        return ml_fail(-ENOMEM), NULL;
    call->flags = flags_of(mode) >= 0; /* else it does not wait for a FIFO's other end */
    call->free_object = close_object;
    int error = ml_call_wait_job(calls, calls->entry, &call->job);
    if (error != 0)
        return ml_fail(error), NULL;
    FILE *file = call->object;
    call->object = NULL;
    if (file != NULL && S_ISREG(call->status.stx_mode))
        ml_disks_learn(&calls->disks, &call->status, call->is_synced);
    *is_other = call->result == FOUND_FIFO;
    errno = call->result < 0 ? -call->result : saved;
    ml_file_call_free(call);
    return file;
}

FILE *ml_co_fopen64(struct ml_libc_calls *calls, const char *path, const char *mode)
{
    struct ml_libc_call entry = calls->entry;
    ml_stdio_sweep(calls);
    enum place place = path != NULL ? find_place(calls, path, mode) : IS_NEAR;
    bool is_fifo = place == IS_FIFO && flags_of(mode) >= 0;
    FILE *file = NULL;
    if (place == IS_UNKNOWN)
        file = open_on_worker(calls, path, mode, &is_fifo);
    else if (!is_fifo)
        file = fopen_plainly(path, mode);
    calls->entry = entry;
    return is_fifo ? fopen_fifo(calls, path, mode) : file;
}

FILE *ml_co_fopen(struct ml_libc_calls *calls, const char *path, const char *mode)
{
    return ml_co_fopen64(calls, path, mode);
}
