#include "system/file/served.h"

#include "base/buffer.h"
#include "io/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int get_status(int fd, int flags, struct statx *status)
{
    return statx(fd, "", AT_EMPTY_PATH | flags, STATX_BASIC_STATS, status) == 0 ? 0 : -errno;
}

/* ---- at once ---- */

int ml_served_root_open(struct ml_served_root *root, const struct ml_disks *disks, const char *path)
{
    struct statx status;
    int fd = ml_quick_open_directory(path);
    if (fd < 0)
        return fd;
    int error = get_status(fd, AT_STATX_DONT_SYNC, &status);
    *root = (struct ml_served_root){.fd = fd};
    if (error == 0)
        ml_served_root_describe(root, &status, ml_disks_is_local(disks, &status));
    return 0;
}

void ml_served_root_describe(struct ml_served_root *root, const struct statx *status, bool is_local)
{
    root->is_local = is_local;
    root->inode = status->stx_ino;
    root->major = status->stx_dev_major;
    root->minor = status->stx_dev_minor;
}

/* The directory is open, so that no other one has got its number meanwhile. */
bool ml_served_root_is_current(const struct ml_served_root *root, const char *path)
{
    struct statx now;
    bool is_known = root->fd >= 0 && root->is_local && root->inode != 0;
    return is_known && statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &now) == 0 &&
           now.stx_ino == root->inode && now.stx_dev_major == root->major &&
           now.stx_dev_minor == root->minor;
}

int ml_served_open(const struct ml_served_root *root, const char *path, struct statx *status)
{
    int fd = root->is_local ? ml_quick_open_beneath(root->fd, path) : -EAGAIN;
    if (fd < 0)
        return fd;
    int error = get_status(fd, AT_STATX_DONT_SYNC, status);
    if (error != 0)
        close(fd);
    return error == 0 ? fd : error;
}

/* ---- by a worker ---- */

static int examine(struct ml_file_call *call)
{
    int error = get_status(call->fd, 0, &call->status);
    return error == 0 ? ml_disk_is_local(call->fd) : error;
}

int ml_served_make_root(struct ml_file_call *call)
{
    call->fd = ml_beneath_root(call->path);
    return call->fd < 0 ? call->fd : examine(call);
}

/* What the path leads to, below the directory in call->fd. A descriptor, or an error. */
static int open_path(struct ml_file_call *call)
{
    int root = call->fd;
    call->fd = -1;
    if (root < 0) {
        int fd = open(call->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    int fd = ml_beneath_open(root, call->path, call->flags != 0);
    close(root);
    return fd;
}

int ml_served_make_open(struct ml_file_call *call)
{
    call->fd = open_path(call);
    return call->fd < 0 ? call->fd : examine(call);
}

static int append(struct ml_buffer *names, const char *text, size_t size)
{
    int error = ml_buffer_reserve(names, size);
    if (error == 0) {
        memcpy(ml_buffer_end(names), text, size);
        ml_buffer_commit(names, size);
    }
    return error;
}

static int append_name(struct ml_buffer *names, const struct dirent *entry)
{
    bool is_directory = entry->d_type == DT_DIR;
    if (!is_directory && entry->d_type != DT_REG && entry->d_type != DT_LNK &&
        entry->d_type != DT_UNKNOWN)
        return 0;
    int error = append(names, entry->d_name, strlen(entry->d_name));
    return error != 0 ? error : is_directory ? append(names, "/", 2) : append(names, "", 1);
}

static int read_names(DIR *stream, struct ml_buffer *names)
{
    const struct dirent *entry;
    int error = 0;
    errno = 0;
    while (error == 0 && (entry = readdir(stream)) != NULL) {
        error = append_name(names, entry);
        errno = 0;
    }
    return error == 0 ? -errno : error;
}

int ml_served_make_list(struct ml_file_call *call)
{
    struct ml_buffer names = {0};
    int fd = open_path(call);
    if (fd < 0)
        return fd;
    DIR *stream = fdopendir(fd);
    int error = stream != NULL ? read_names(stream, &names) : -errno;
    if (stream != NULL)
        closedir(stream);
    else
        close(fd);
    call->data = names.memory; /* nothing was consumed: it starts there */
    call->size = ml_buffer_size(&names);
    return error;
}
