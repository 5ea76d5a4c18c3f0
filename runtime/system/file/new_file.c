#include "system/file/new_file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 100, LINKS = 40 /* as the kernel follows */ };

int ml_random_name(char name[ML_RANDOM_NAME])
{
    unsigned long long number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        return -EAGAIN;
    snprintf(name, ML_RANDOM_NAME, "%016llx", number);
    return 0;
}

/* The temporary name: different each time. */
static int choose_name(struct ml_new_file *file)
{
    char name[ML_RANDOM_NAME];
    int error = ml_random_name(name);
    if (error == 0)
        snprintf(file->temporary, sizeof file->temporary, ".%s.part", name);
    return error;
}

static int create(struct ml_new_file *file, mode_t mode)
{
    int error = -EEXIST;
    for (int i = 0; i < TRIES && error == -EEXIST; i++) {
        error = choose_name(file);
        if (error != 0)
            break;
        file->number = openat(file->directory, file->temporary,
                              O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0777);
        error = file->number < 0 ? -errno : 0;
    }
    return error == -EACCES ? -ML_EDIRECTORY : error;
}

/* The directory of a path that starts at `at`; *name is set to its last part. A descriptor, or an
 * error. */
static int open_directory(int at, char *path, char **name)
{
    char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    if (**name == '\0')
        return *path == '\0' ? -ENOENT : -EISDIR;
    if (slash != NULL)
        *slash = '\0';
    const char *where = slash == NULL ? "." : slash == path ? "/" : path;
    int directory = openat(at, where, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? -errno : directory;
}

/* Goes to the directory of `path`, which this takes over, starting at that of the file. */
static int go_to(struct ml_new_file *file, char *path)
{
    char *name = NULL, *copy = NULL;
    int at = file->directory >= 0 ? file->directory : AT_FDCWD;
    int directory = open_directory(at, path, &name);
    if (directory >= 0 && (copy = strdup(name)) == NULL) {
        close(directory);
        directory = -ENOMEM;
    }
    free(path);
    if (directory < 0)
        return directory;
    if (file->directory >= 0)
        close(file->directory);
    free(file->name);
    file->directory = directory;
    file->name = copy;
    return 0;
}

/* Where the link leads that has the file's name. NULL: it is none; or *error is set. */
static char *read_link(const struct ml_new_file *file, int *error)
{
    char *target = malloc(PATH_MAX);
    if (target == NULL) {
        *error = -ENOMEM;
        return NULL;
    }
    ssize_t size = readlinkat(file->directory, file->name, target, PATH_MAX - 1);
    if (size < 0) {
        *error = errno == EINVAL || errno == ENOENT ? 0 : -errno;
        free(target);
        return NULL;
    }
    target[size] = '\0';
    return target;
}

/* Finds the place to which the path leads, through all links. */
static int find_place(struct ml_new_file *file, const char *path)
{
    char *next = strdup(path);
    int error = next != NULL ? 0 : -ENOMEM;
    for (int links = 0; error == 0 && next != NULL; links++) {
        error = links <= LINKS ? go_to(file, next) : -ELOOP;
        if (links > LINKS)
            free(next);
        next = error == 0 ? read_link(file, &error) : NULL;
    }
    return error;
}

/* The new file gets what the old one has. Without the right to give files away it belongs to this
 * process, and then must not run as another user. */
static int take_over(const struct ml_new_file *file, const struct stat *there)
{
    struct stat here;
    mode_t mode = there->st_mode & 07777;
    if (fstat(file->number, &here) != 0)
        return -errno;
    bool is_ours = here.st_uid == there->st_uid && here.st_gid == there->st_gid;
    if (!is_ours && fchown(file->number, there->st_uid, there->st_gid) != 0) {
        mode &= ~(mode_t)S_ISUID;
        if (fchown(file->number, (uid_t)-1, there->st_gid) != 0)
            mode &= ~(mode_t)S_ISGID;
    }
    return fchmod(file->number, mode) == 0 ? 0 : -errno;
}

/* Whether what stands there may be replaced: 0 or an error. */
static int check_type(mode_t mode)
{
    return S_ISREG(mode) ? 0 : S_ISDIR(mode) ? -EISDIR : -ML_ENOTFILE;
}

/* Some links lead to what has no name, such as /dev/stdout to a pipe: the kernel alone can follow
 * them. */
static int check_path(const char *path)
{
    struct stat there;
    return stat(path, &there) == 0 ? check_type(there.st_mode) : 0;
}

/* 1: a file is there; 0: nothing is there. */
static int check_place(const struct ml_new_file *file, struct stat *there)
{
    if (fstatat(file->directory, file->name, there, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    int error = check_type(there->st_mode);
    return error == 0 ? 1 : error;
}

int ml_new_file_open(struct ml_new_file *file, const char *path, mode_t mode)
{
    *file = (struct ml_new_file){.number = -1, .directory = -1};
    struct stat there;
    int error = check_path(path);
    if (error == 0)
        error = find_place(file, path);
    int is_there = error == 0 ? check_place(file, &there) : error;
    error = is_there < 0 ? is_there : create(file, is_there ? 0600 : mode);
    if (error == 0 && is_there)
        error = take_over(file, &there);
    if (error != 0)
        ml_new_file_close(file);
    return error;
}

int ml_new_file_write(struct ml_new_file *file, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = write(file->number, data, size);
        if (count < 0 && errno != EINTR)
            return -errno;
        data += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
    return 0;
}

/* Writes the directory to the disk. One that may not be read cannot be; then the kernel does it in
 * its time. */
static int sync_directory(const struct ml_new_file *file)
{
    int directory = openat(file->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return errno == EACCES ? 0 : -errno;
    int error = fsync(directory) == 0 || errno == EINVAL || errno == EROFS ? 0 : -errno;
    close(directory);
    return error;
}

int ml_new_file_commit(struct ml_new_file *file, bool is_synced)
{
    int error = is_synced && fsync(file->number) != 0 ? -errno : 0;
    if (close(file->number) != 0 && errno != EINTR && error == 0)
        error = -errno;
    file->number = -1;
    if (error == 0 && renameat(file->directory, file->temporary, file->directory, file->name) != 0)
        error = errno == EBUSY ? -ML_EMOUNTED : -errno;
    if (error != 0)
        unlinkat(file->directory, file->temporary, 0);
    else if (is_synced)
        error = sync_directory(file);
    ml_new_file_close(file);
    return error;
}

void ml_new_file_close(struct ml_new_file *file)
{
    if (file->number >= 0) {
        close(file->number);
        unlinkat(file->directory, file->temporary, 0);
    }
    if (file->directory >= 0)
        close(file->directory);
    file->number = file->directory = -1;
    free(file->name);
    file->name = NULL;
}
