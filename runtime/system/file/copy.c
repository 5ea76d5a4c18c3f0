#include "system/file/copy.h"

#include "system/file/copy_data.h"
#include "system/file/new_file.h"
#include "system/file/remove.h"
#include "system/file/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_kept(const struct ml_file_call *call)
{
    return (call->flags & ML_COPY_KEEP) != 0;
}

/* Gives an open file the owner, the permissions and the times of another. A file that cannot be
 * given away must not run as its owner. */
static int keep(int fd, const struct stat *from)
{
    struct timespec times[2] = {from->st_atim, from->st_mtim};
    mode_t mode = from->st_mode & 07777;
    if (fchown(fd, from->st_uid, from->st_gid) != 0)
        mode &= ~(mode_t)(S_ISUID | S_ISGID);
    return fchmod(fd, mode) != 0 || futimens(fd, times) != 0 ? -errno : 0;
}

/* ---- one file ---- */

static int fill_new_file(struct ml_file_call *call, int from, const struct stat *status,
                         struct ml_new_file *file)
{
    struct stat there;
    bool is_same = fstatat(file->directory, file->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                   there.st_dev == status->st_dev && there.st_ino == status->st_ino;
    int error = is_same ? -EINVAL : ml_file_copy_data(call, from, file->number);
    if (error == 0 && is_kept(call))
        error = keep(file->number, status);
    if (error == 0 && ml_file_call_is_given_up(call))
        error = -ECANCELED;
    return error;
}

static int copy_regular(struct ml_file_call *call, const struct stat *status)
{
    struct ml_new_file file;
    int error = ml_new_file_open(&file, call->other, status->st_mode & 0777);
    if (error != 0)
        return error;
    error = fill_new_file(call, call->fd, status, &file);
    if (error == 0)
        error = ml_new_file_commit(&file, false);
    ml_new_file_close(&file);
    return error;
}

/* ---- what is in a directory ---- */

/* Two trees side by side: the one that is copied, and the copy. */
struct copying {
    struct ml_file_call *call;
    struct ml_tree from;
    struct ml_tree to;
    dev_t device; /* the root of the copy, which must not be met in the original */
    ino_t number;
};

static int copy_file_data(struct copying *c, const char *name, int from, const struct stat *status)
{
    int to = openat(c->to.level->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    status->st_mode & 0777);
    if (to < 0)
        return -errno;
    int error = ml_file_copy_data(c->call, from, to);
    if (error == 0 && is_kept(c->call))
        error = keep(to, status);
    if (close(to) != 0 && error == 0 && errno != EINTR)
        error = -errno;
    return error;
}

static int copy_file(struct copying *c, const char *name)
{
    struct stat status;
    int from =
        openat(c->from.level->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (from < 0)
        return -errno;
    int error = fstat(from, &status) != 0 ? -errno : !S_ISREG(status.st_mode) ? -EAGAIN : 0;
    if (error == 0)
        error = copy_file_data(c, name, from, &status);
    close(from);
    return error;
}

/* Owner and times of what has no descriptor. */
static int keep_node(struct copying *c, const char *name, const struct stat *status)
{
    struct timespec times[2] = {status->st_atim, status->st_mtim};
    int at = c->to.level->fd;
    if (fchownat(at, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno != EPERM)
        return -errno;
    return utimensat(at, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

static int copy_link(struct copying *c, const char *name)
{
    char target[PATH_MAX];
    ssize_t size = readlinkat(c->from.level->fd, name, target, sizeof target - 1);
    if (size < 0)
        return -errno;
    target[size] = '\0';
    return symlinkat(target, c->to.level->fd, name) == 0 ? 0 : -errno;
}

/* A link, a FIFO, a socket, a device. */
static int copy_node(struct copying *c, const char *name, const struct stat *status)
{
    int error = 0;
    if (S_ISLNK(status->st_mode))
        error = copy_link(c, name);
    else if (mknodat(c->to.level->fd, name, status->st_mode & (S_IFMT | 0777), status->st_rdev) !=
             0)
        error = -errno;
    return error == 0 && is_kept(c->call) ? keep_node(c, name, status) : error;
}

/* Makes the directory, open to its owner until it is left, and enters both. */
static int enter(struct copying *c, const char *name, mode_t mode)
{
    int error = ml_tree_enter(&c->from, name, false);
    if (error != 0)
        return error;
    if (c->from.level->device == c->device && c->from.level->number == c->number)
        return -EINVAL;
    if (mkdirat(c->to.level->fd, name, (mode & 0777) | 0700) != 0)
        return -errno;
    return ml_tree_enter(&c->to, name, false);
}

static int visit(struct copying *c, const struct ml_tree_entry *entry)
{
    struct stat status;
    if (fstatat(c->from.level->fd, entry->name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    int error = S_ISDIR(status.st_mode)   ? enter(c, entry->name, status.st_mode)
                : S_ISREG(status.st_mode) ? copy_file(c, entry->name)
                                          : copy_node(c, entry->name, &status);
    return error;
}

/* The copy's directory gets its permissions when all is in it. */
static int finish_directory(struct copying *c)
{
    struct stat status, there;
    int from = c->from.level->fd, to = c->to.level->fd;
    if (fstat(from, &status) != 0 || fstat(to, &there) != 0)
        return -errno;
    if (is_kept(c->call))
        return keep(to, &status);
    return fchmod(to, status.st_mode & there.st_mode & 0777) == 0 ? 0 : -errno;
}

static int leave(struct copying *c)
{
    int error = finish_directory(c);
    if (error == 0)
        error = ml_tree_leave(&c->from);
    if (error == 0)
        error = ml_tree_leave(&c->to);
    return error;
}

static int copy_all(struct copying *c)
{
    struct ml_tree_entry entry;
    int error = 0;
    while (error == 0 && c->from.level != NULL) {
        int found = ml_tree_next(&c->from, &entry);
        if (ml_file_call_is_given_up(c->call))
            error = -ECANCELED;
        else if (found != 0)
            error = found < 0 ? found : visit(c, &entry);
        else
            error = leave(c);
    }
    return error;
}

/* ---- a whole tree ---- */

/* Whether the directory at `fd`, which this closes, or one above it is the one in `status`. */
static int is_inside(int fd, const struct stat *status)
{
    struct stat here, last = {0};
    int result = -1;
    while (result < 0) {
        if (fstat(fd, &here) != 0)
            result = -errno;
        else if (here.st_dev == status->st_dev && here.st_ino == status->st_ino)
            result = 1;
        else if (here.st_dev == last.st_dev && here.st_ino == last.st_ino)
            result = 0;
        last = here;
        int up = result < 0 ? openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        if (result < 0 && up < 0)
            result = 0;
        close(fd);
        fd = up;
    }
    return result;
}

/* -EINVAL: the place of the copy lies in the original. */
static int check_place(const struct ml_file_call *call, const struct stat *status)
{
    char *path = strdup(call->other);
    if (path == NULL)
        return -ENOMEM;
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        path[--size] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path] = '\0';
    int fd = open(slash != NULL ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -errno : is_inside(fd, status);
    free(path);
    return result == 1 ? -EINVAL : result;
}

/* Removes what there is of the copy. */
static void undo(const struct ml_file_call *call)
{
    struct ml_file_call *removal =
        ml_file_call_new(ml_file_remove_tree, false, call->other, NULL, NULL, 0);
    if (removal != NULL)
        removal->make(removal);
    ml_file_call_free(removal);
}

static int begin_trees(struct copying *c)
{
    int error = ml_tree_init(&c->from, c->call->path);
    if (error == 0)
        error = ml_tree_init(&c->to, c->call->other);
    if (error == 0)
        error = ml_tree_enter(&c->from, NULL, true);
    if (error == 0)
        error = ml_tree_enter(&c->to, NULL, false);
    if (error == 0) {
        c->device = c->to.level->device;
        c->number = c->to.level->number;
    }
    return error;
}

static int copy_directory(struct ml_file_call *call, const struct stat *status)
{
    struct copying c = {.call = call};
    int error = check_place(call, status);
    if (error == 0 && mkdir(call->other, (status->st_mode & 0777) | 0700) != 0)
        error = -errno;
    if (error != 0)
        return error;
    error = begin_trees(&c);
    if (error == 0)
        error = copy_all(&c);
    if (error != 0 && c.from.path != NULL)
        call->data = strdup(c.from.path);
    ml_tree_release(&c.from);
    ml_tree_release(&c.to);
    if (error != 0)
        undo(call);
    return error;
}

static int copy_open_file(struct ml_file_call *call)
{
    struct stat status;
    call->fd = open(call->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (call->fd < 0 || fstat(call->fd, &status) != 0)
        return -errno;
    return S_ISREG(status.st_mode) ? copy_regular(call, &status) : -EAGAIN;
}

int ml_file_copy(struct ml_file_call *call)
{
    struct stat status;
    if (stat(call->path, &status) != 0)
        return -errno;
    if (S_ISREG(status.st_mode))
        return copy_open_file(call);
    if (!S_ISDIR(status.st_mode))
        return mknod(call->other, status.st_mode & (S_IFMT | 0777), status.st_rdev) == 0 ? 0
                                                                                         : -errno;
    return (call->flags & ML_COPY_TREE) != 0 ? copy_directory(call, &status) : -EISDIR;
}
