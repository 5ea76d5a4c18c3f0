#include "io/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUFFIX = sizeof ".0123456789abcdef.part", TRIES = 100 };

/* The name beside the other one: different each time. */
static int choose_name(struct ml_new_file *file)
{
    unsigned long long number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        return -EAGAIN;
    snprintf(file->temporary, strlen(file->path) + SUFFIX, "%s.%016llx.part", file->path, number);
    return 0;
}

static int create(struct ml_new_file *file)
{
    int error = -EEXIST;
    for (int i = 0; i < TRIES && error == -EEXIST; i++) {
        error = choose_name(file);
        if (error != 0)
            break;
        file->number = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        error = file->number < 0 ? -errno : 0;
    }
    return error;
}

/* What stands there may be replaced if it is a file, whose permissions stay. */
static int check_place(const struct ml_new_file *file)
{
    struct stat there;
    if (stat(file->path, &there) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(there.st_mode))
        return S_ISDIR(there.st_mode) ? -EISDIR : -EEXIST;
    return fchmod(file->number, there.st_mode & 07777) == 0 ? 0 : -errno;
}

int ml_new_file_open(struct ml_new_file *file, const char *path)
{
    *file = (struct ml_new_file){.number = -1, .path = strdup(path)};
    file->temporary = malloc(strlen(path) + SUFFIX);
    int error = file->path != NULL && file->temporary != NULL ? create(file) : -ENOMEM;
    if (error == 0)
        error = check_place(file);
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

int ml_new_file_commit(struct ml_new_file *file)
{
    int error = close(file->number) != 0 && errno != EINTR ? -errno : 0;
    if (error == 0 && rename(file->temporary, file->path) != 0)
        error = -errno;
    if (error != 0)
        unlink(file->temporary);
    file->number = -1;
    ml_new_file_close(file);
    return error;
}

void ml_new_file_close(struct ml_new_file *file)
{
    if (file->number >= 0) {
        close(file->number);
        unlink(file->temporary);
    }
    file->number = -1;
    free(file->path);
    free(file->temporary);
    file->path = file->temporary = NULL;
}
