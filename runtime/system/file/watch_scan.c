#include "system/file/watch_scan.h"

#include "base/check.h"
#include "base/clock.h"
#include "system/file/watch_kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening a directory ---- */

/* The kernel takes paths of less than PATH_MAX bytes: a longer one is opened piece by piece.
 * Returns the size of the first piece, which ends before a slash. */
static size_t piece_of(const char *path, size_t size)
{
    size_t piece = size;
    if (size >= PATH_MAX)
        for (piece = PATH_MAX - 1; piece > 0 && path[piece] != '/'; piece--)
            ;
    return piece;
}

/* The last name is never followed as a link. A descriptor, or a negated errno. */
static int open_piece(int base, const char *path, size_t size)
{
    char piece[PATH_MAX];
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    if (size == 0 || size >= sizeof piece)
        return -ENAMETOOLONG;
    memcpy(piece, path, size);
    piece[size] = '\0';
    int fd = openat(base, piece, flags);
    return fd >= 0 ? fd : -errno;
}

static int open_directory(const char *path)
{
    size_t size = strlen(path), piece = piece_of(path, size);
    int fd = open_piece(AT_FDCWD, path, piece);
    while (fd >= 0 && piece < size) {
        int base = fd;
        path += piece + 1, size -= piece + 1;
        piece = piece_of(path, size);
        fd = open_piece(base, path, piece);
        close(base);
    }
    return fd;
}

/* Where there is no /proc, by path. */
static int add_watch(int kernel, int fd, const char *path)
{
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int wd = inotify_add_watch(kernel, name, ML_WATCH_MASK);
    if (wd < 0 && errno == ENOENT)
        wd = inotify_add_watch(kernel, path, ML_WATCH_MASK | IN_DONT_FOLLOW);
    return wd >= 0 ? wd : -errno;
}

/* ---- listing ---- */

static int put_row(struct ml_buffer *listing, const char *name, const struct stat *status)
{
    size_t length = strlen(name), size = ml_watch_listed_size(length);
    bool is_directory = status == NULL || S_ISDIR(status->st_mode);
    struct ml_watch_listed row = {.size = (uint16_t)length, .is_directory = is_directory};
    int error = ml_buffer_reserve(listing, size);
    if (error != 0)
        return error;
    if (!is_directory)
        row.changed_at = ml_time_of(status->st_ctim.tv_sec, status->st_ctim.tv_nsec);
    memcpy(ml_buffer_end(listing), &row, sizeof row);
    memcpy(ml_buffer_end(listing) + sizeof row, name, length);
    ml_buffer_commit(listing, size);
    return 0;
}

/* An entry that is gone by now is left out: its end is reported. */
static int list_name(int fd, const char *name, struct ml_buffer *listing)
{
    struct stat status;
    if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return put_row(listing, name, &status);
    return errno == ENOENT || errno == EACCES ? 0 : -errno;
}

static bool is_self_or_parent(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int list_all(DIR *stream, struct ml_buffer *listing)
{
    int error = 0;
    const struct dirent *found;
    while (errno = 0, error == 0 && (found = readdir(stream)) != NULL) {
        if (is_self_or_parent(found->d_name))
            continue;
        error = found->d_type == DT_DIR ? put_row(listing, found->d_name, NULL)
                                        : list_name(dirfd(stream), found->d_name, listing);
    }
    return error != 0 ? error : -errno;
}

/* Takes over the descriptor. */
static int list(int fd, const char *only, struct ml_buffer *listing)
{
    if (only != NULL) {
        int error = list_name(fd, only, listing);
        close(fd);
        return error;
    }
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        close(fd);
        return -ENOMEM;
    }
    int error = list_all(stream, listing);
    closedir(stream);
    return error;
}

static void scan_directory(struct ml_watch_scan *scan, struct ml_watch_scanned *dir)
{
    int fd = open_directory(dir->path);
    dir->error = fd < 0 ? fd : 0;
    if (fd < 0)
        return;
    dir->wd = add_watch(scan->kernel->fd, fd, dir->path);
    if (dir->wd < 0) {
        dir->error = dir->wd;
        close(fd);
        return;
    }
    dir->start = dir->end = ml_buffer_size(&scan->listing);
    dir->error = list(fd, scan->only, &scan->listing);
    dir->end = ml_buffer_size(&scan->listing);
}

static void run(struct ml_job *job)
{
    struct ml_watch_scan *scan = ml_container_of(job, struct ml_watch_scan, job);
    for (uint32_t i = 0; i < scan->count; i++)
        if (i == 0 || ml_buffer_size(&scan->listing) < ML_WATCH_SCAN_BYTES)
            scan_directory(scan, &scan->dirs[i]);
}

/* ---- the job ---- */

static void release(struct ml_job *job)
{
    ml_watch_scan_drop(ml_container_of(job, struct ml_watch_scan, job));
}

static void finish(struct ml_job *job)
{
    struct ml_watch_scan *scan = ml_container_of(job, struct ml_watch_scan, job);
    if (scan->owner != NULL)
        scan->finished(scan);
    release(job);
}

struct ml_watch_scan *ml_watch_scan_new(struct ml_watch_kernel *kernel, const char *only)
{
    struct ml_watch_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL)
        return NULL;
    scan->only = only != NULL ? strdup(only) : NULL;
    if (only != NULL && scan->only == NULL) {
        free(scan);
        return NULL;
    }
    scan->users = 1;
    scan->kernel = kernel;
    ml_watch_kernel_keep(kernel);
    return scan;
}

int ml_watch_scan_start(struct ml_watch_scan *scan, struct ml_hub *hub)
{
    scan->job =
        (struct ml_job){.run = run, .release = release, .finished = finish, .work = ML_WORK_DISK};
    atomic_fetch_add(&scan->users, 1);
    return ml_offload_start(hub, &scan->job);
}

void ml_watch_scan_drop(struct ml_watch_scan *scan)
{
    if (atomic_fetch_sub(&scan->users, 1) != 1)
        return;
    for (uint32_t i = 0; i < scan->count; i++)
        free(scan->dirs[i].path);
    ml_buffer_release(&scan->listing);
    ml_watch_kernel_drop(scan->kernel);
    free(scan->only);
    free(scan);
}
