#include "system/file/copy_data.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Bytes between two looks at whether the copy is given up; the size of a buffer. */
enum { PIECE = 8 * 1024 * 1024, BUFFER = 256 * 1024 };

/* Where a copy stands. */
struct copying {
    const struct ml_file_call *call;
    int from, to;
    off_t at;
    char *buffer; /* NULL: the kernel copies */
};

static int write_all(int to, const char *data, size_t size, off_t at)
{
    while (size > 0) {
        ssize_t count = pwrite(to, data, size, at);
        if (count < 0 && errno != EINTR)
            return -errno;
        count = count > 0 ? count : 0;
        data += count;
        at += count;
        size -= (size_t)count;
    }
    return 0;
}

/* Through a buffer. Bytes; 0: the end; or an error. */
static ssize_t copy_here(struct copying *c, size_t size)
{
    if (c->buffer == NULL && (c->buffer = malloc(BUFFER)) == NULL)
        return -ENOMEM;
    ssize_t count;
    do
        count = pread(c->from, c->buffer, size < BUFFER ? size : BUFFER, c->at);
    while (count < 0 && errno == EINTR);
    if (count <= 0)
        return count < 0 ? -errno : 0;
    int error = write_all(c->to, c->buffer, (size_t)count, c->at);
    return error == 0 ? count : error;
}

/* By the kernel, where it can: it copies 0 bytes of files that only seem to be empty, as in /proc.
 */
static ssize_t copy_piece(struct copying *c, size_t size)
{
    ssize_t count = 0;
    if (c->buffer == NULL) {
        loff_t from = c->at, to = c->at;
        do
            count = copy_file_range(c->from, &from, c->to, &to, size, 0);
        while (count < 0 && errno == EINTR);
        if (count < 0 && (errno == ENOSPC || errno == EIO || errno == EDQUOT || errno == EFBIG))
            return -errno;
    }
    return count > 0 ? count : copy_here(c, size);
}

/* Up to `end`, or to the end of the file. */
static int copy_up_to(struct copying *c, off_t end)
{
    ssize_t count = 1;
    while (count > 0 && c->at < end) {
        off_t left = end - c->at;
        count = ml_file_call_is_given_up(c->call)
                    ? -ECANCELED
                    : copy_piece(c, left < PIECE ? (size_t)left : PIECE);
        c->at += count > 0 ? count : 0;
    }
    return count < 0 ? (int)count : 0;
}

/* 1: data begins at c->at; 0: there is no more; -EINVAL: this file does not tell. */
static int find_data(struct copying *c)
{
    off_t at = lseek(c->from, c->at, SEEK_DATA);
    if (at < 0)
        return errno == ENXIO ? 0 : -EINVAL;
    c->at = at;
    return 1;
}

static int copy_with_holes(struct copying *c)
{
    int error = 0, found;
    while (error == 0 && (found = find_data(c)) > 0) {
        off_t before = c->at, end = lseek(c->from, c->at, SEEK_HOLE);
        error = copy_up_to(c, end > c->at ? end : LLONG_MAX);
        if (error == 0 && c->at == before)
            break; /* it was truncated meanwhile */
    }
    if (error == 0 && found == -EINVAL)
        return copy_up_to(c, LLONG_MAX);
    off_t size = lseek(c->from, 0, SEEK_END);
    return error == 0 && size > c->at && ftruncate(c->to, size) != 0 ? -errno : error;
}

int ml_file_copy_data(const struct ml_file_call *call, int from, int to)
{
    struct copying c = {.call = call, .from = from, .to = to};
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    int error = copy_with_holes(&c);
    free(c.buffer);
    return error;
}
