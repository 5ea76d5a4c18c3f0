#include "system/file/paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int outcome(int result)
{
    return result == 0 ? 0 : -errno;
}

int ml_file_stat(struct ml_file_call *call)
{
    return outcome(statx(AT_FDCWD, call->path, (int)call->flags, STATX_BASIC_STATS, &call->status));
}

/* ---- making and removing ---- */

/* Of a path that is there: 0 or an error. A link to nowhere stands there, too. */
static int is_directory(const char *path)
{
    struct stat status;
    int error = stat(path, &status) == 0 ? 0 : -errno;
    if (error != 0)
        return error == -ENOENT && lstat(path, &status) == 0 ? -EEXIST : error;
    return S_ISDIR(status.st_mode) ? 0 : -EEXIST;
}

static int make_one(char *path, char *end, mode_t mode)
{
    char after = *end;
    *end = '\0';
    int error = outcome(mkdir(path, mode));
    *end = after;
    return error == -EEXIST ? 0 : error;
}

/* Makes one directory after the other, from the top. Those above can be entered by their owner,
 * whatever the mode. */
static int make_parents(char *path, mode_t mode)
{
    int error = 0;
    char *end = path + strspn(path, "/");
    while (error == 0 && *end != '\0') {
        end += strcspn(end, "/");
        char *next = end + strspn(end, "/");
        error = make_one(path, end, *next == '\0' ? mode : 0777);
        end = next;
    }
    return error == 0 ? is_directory(path) : error;
}

int ml_file_make_directory(struct ml_file_call *call)
{
    if ((call->flags & ML_FILE_PARENTS) == 0)
        return outcome(mkdir(call->path, call->mode));
    char *path = strdup(call->path);
    int error = path != NULL ? make_parents(path, call->mode) : -ENOMEM;
    free(path);
    return error;
}

int ml_file_remove(struct ml_file_call *call)
{
    int error = outcome(unlink(call->path));
    if (error == -EISDIR || error == -EPERM) {
        int other = outcome(rmdir(call->path));
        error = other == -ENOTDIR ? error : other;
    }
    return error;
}

int ml_file_rename(struct ml_file_call *call)
{
    return outcome(rename(call->path, call->other));
}

int ml_file_link(struct ml_file_call *call)
{
    return outcome(link(call->path, call->other));
}

int ml_file_symlink(struct ml_file_call *call)
{
    return outcome(symlink(call->path, call->other));
}

/* ---- where names lead ---- */

int ml_file_read_link(struct ml_file_call *call)
{
    call->data = malloc(PATH_MAX);
    if (call->data == NULL)
        return -ENOMEM;
    ssize_t size = readlink(call->path, call->data, PATH_MAX);
    call->size = size > 0 ? (size_t)size : 0;
    return size < 0 ? -errno : 0;
}

int ml_file_real_path(struct ml_file_call *call)
{
    call->data = realpath(call->path, NULL);
    if (call->data == NULL)
        return -errno;
    call->size = strlen(call->data);
    return 0;
}

/* ---- what belongs to a file ---- */

int ml_file_chmod(struct ml_file_call *call)
{
    return outcome(chmod(call->path, call->mode));
}

int ml_file_chown(struct ml_file_call *call)
{
    return outcome(fchownat(AT_FDCWD, call->path, (uid_t)call->numbers[0], (gid_t)call->numbers[1],
                            (int)call->flags));
}

int ml_file_set_times(struct ml_file_call *call)
{
    return outcome(utimensat(AT_FDCWD, call->path, call->times, (int)call->flags));
}

/* ---- lists ---- */

struct names {
    char **list;
    size_t count;
    size_t room;
    size_t bytes; /* of all names, with their zeros */
};

static int add_name(struct names *names, const char *name)
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 64 : names->room * 2;
        char **list = realloc(names->list, room * sizeof *list);
        if (list == NULL)
            return -ENOMEM;
        names->list = list;
        names->room = room;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    names->list[names->count++] = copy;
    names->bytes += strlen(name) + 1;
    return 0;
}

static int read_names(DIR *stream, const struct ml_file_call *call, struct names *names)
{
    int error = 0;
    const struct dirent *entry;
    errno = 0;
    while (error == 0 && (entry = readdir(stream)) != NULL) {
        bool is_name = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        error = is_name ? add_name(names, entry->d_name) : 0;
        if (ml_file_call_is_given_up(call))
            error = -ECANCELED;
        errno = error == 0 ? 0 : errno;
    }
    return error != 0 ? error : -errno;
}

static int compare(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* Puts the names together. */
static int join_names(struct ml_file_call *call, struct names *names)
{
    call->data = malloc(names->bytes + 1);
    if (call->data == NULL)
        return -ENOMEM;
    if (names->count > 0)
        qsort(names->list, names->count, sizeof *names->list, compare);
    char *end = call->data;
    for (size_t i = 0; i < names->count; i++)
        end = stpcpy(end, names->list[i]) + 1;
    call->size = names->bytes;
    return (int)names->count;
}

int ml_file_list(struct ml_file_call *call)
{
    struct names names = {0};
    DIR *stream = opendir(call->path);
    if (stream == NULL)
        return -errno;
    int error = read_names(stream, call, &names);
    closedir(stream);
    int result = error == 0 ? join_names(call, &names) : error;
    for (size_t i = 0; i < names.count; i++)
        free(names.list[i]);
    free(names.list);
    return result;
}
