#include "io/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A larger file is not such a text file. */
enum { LARGEST = 64 * 1024 * 1024 };

int ml_text_file_init(struct ml_text_file *file, const char *path)
{
    *file = (struct ml_text_file){0};
    if (path[0] == '\0')
        return 0;
    file->path = strdup(path);
    return file->path != NULL ? 0 : -ENOMEM;
}

void ml_text_file_release(struct ml_text_file *file)
{
    free(file->text);
    free(file->path);
    *file = (struct ml_text_file){0};
}

/* Whether the error is about this process at this moment, and not about the file. */
static bool is_passing(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* Reads a regular file as a whole. 0, ENOMEM or an error of read(). */
static int read_text(int fd, size_t size, char **result)
{
    char *text = malloc(size + 1);
    size_t got = 0;
    ssize_t count = 1;
    if (text == NULL)
        return ENOMEM;
    while (got < size && (count > 0 || (count < 0 && errno == EINTR))) {
        count = read(fd, text + got, size - got);
        got += count > 0 ? (size_t)count : 0;
    }
    int error = count < 0 ? errno : 0;
    text[got] = '\0';
    *result = error == 0 ? text : NULL;
    if (error != 0)
        free(text);
    return error;
}

/* 0, with the text (NULL: it is no text file) and the status of the file; or an errno. */
static int load(const char *path, char **text, struct stat *status)
{
    int error = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno;
    if (fstat(fd, status) != 0)
        error = errno;
    else if (S_ISREG(status->st_mode) && status->st_size <= LARGEST)
        error = read_text(fd, (size_t)status->st_size, text);
    close(fd);
    return error;
}

/* Compares the time of the inode's last change, too: the permission to read may have changed. */
static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int ml_text_file_refresh(struct ml_text_file *file, bool *is_new)
{
    struct stat status = {0};
    char *text = NULL;
    *is_new = false;
    if (file->path == NULL)
        return 0;
    int error = stat(file->path, &status) == 0 ? 0 : errno;
    if (error == 0 && is_same(&status, &file->status))
        return 0;
    if (error == 0)
        error = load(file->path, &text, &status);
    if (is_passing(error))
        return -error;
    *is_new = error == 0 || file->text != NULL;
    free(file->text);
    file->text = text;
    file->status = error == 0 ? status : (struct stat){0};
    return 0;
}

struct ml_word ml_word_next(const char *at, const char *end)
{
    static const char blanks[] = " \t\r\f\v";
    while (at < end && strchr(blanks, *at) != NULL)
        at++;
    struct ml_word word = {.start = at};
    while (at < end && strchr(blanks, *at) == NULL)
        at++;
    word.length = (size_t)(at - word.start);
    return word;
}
