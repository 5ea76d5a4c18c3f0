/* Calls that open a file. Opening a FIFO waits for its other end; anything else is opened at
 * once. */
#include "interpose/call_wait.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"
#include "interpose/stdio_file.h"
#include "system/file/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
FILE *ml_co_fopen64(struct ml_libc_calls *calls, const char *path, const char *mode)
{
    ml_stdio_sweep(calls);
    if (path != NULL && flags_of(mode) >= 0 && is_fifo(path))
        return fopen_fifo(calls, path, mode);
    char *text = private_mode(mode);
    FILE *file = ml_libc.fopen64(path, text != NULL ? text : mode);
    free(text);
    return file;
}

FILE *ml_co_fopen(struct ml_libc_calls *calls, const char *path, const char *mode)
{
    return ml_co_fopen64(calls, path, mode);
}
