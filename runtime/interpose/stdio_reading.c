/* Calls of stdio that read. They wait for each byte that is not in the file's buffer yet. */
#include "hub/wait/slice.h"
#include "interpose/call_wait.h"
#include "interpose/fd_flags.h"
#include "interpose/fd_kind.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"
#include "interpose/stdio_buffer.h"
#include "interpose/stdio_disk.h"
#include "interpose/stdio_file.h"

#include <errno.h>
#include <stdio_ext.h>

/*
 * Waits until the file's next read does not block; a read that gives EOF or an error at once never
 * does.
 *
 * - 0: read now;
 * - -1: failed, with errno and the file's error flag set;
 * - ML_PLAINLY: the task may not wait.
 */
static int await_input(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    if ((file->_flags & (ML_STDIO_NO_READS | _IO_EOF_SEEN)) != 0)
        return 0;
    calls->entry = entry;
    int error = ml_libc_call_share_on(calls, fd);
    if (error == 0 && ml_libc.poll(&readable, 1, 0) != 0)
        return 0;
    if (ml_fd_flags_never_wait(ml_fd_flags_get(fd)))
        return 0;
    while ((error == 0 || error == -EINTR) && !ml_stdio_has_input(file) &&
           ml_libc.poll(&readable, 1, 0) == 0)
        error = ml_call_wait_fd(calls, entry, fd, POLLIN, ML_FOREVER);
    if (error >= 0 || error == -EINTR)
        return error > 0 ? error : 0;
    ml_stdio_set_error(file);
    return ml_fail(error);
}

static int stream_byte(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd)
{
    return await_input(calls, entry, file, fd) < 0 ? EOF : ml_libc.__uflow(file);
}

/* Whether the next byte comes from a disk, and nothing but the buffer is in between. */
static bool is_unread_disk(struct ml_libc_calls *calls, FILE *file, int fd)
{
    return ml_fd_kind_has_disk(ml_fd_kind_of(calls, fd)) && ml_stdio_is_usual(file);
}

static int disk_byte(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd)
{
    ssize_t got = ml_stdio_fill(calls, entry, file, fd);
    if (got == -ESPIPE)
        return ml_libc.__uflow(file);
    return got > 0 ? (unsigned char)*file->_IO_read_ptr++ : EOF;
}

/* The next byte, or EOF, of a file that only this task uses. */
static int next_byte(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd)
{
    if (ml_likely(ml_stdio_buffered(file) > 0))
        return (unsigned char)*file->_IO_read_ptr++;
    /* Line-buffered output goes out first, as the peer may have to see it before it answers (ISO C
     * 7.21.3). */
    if (file == stdin && ml_stdio_pending(stdout) > 0 && __flbf(stdout) != 0)
        ml_co_fflush(calls, stdout);
    /* So does output to the file itself. If that fails, libc reads nothing either. */
    if ((file->_flags & ML_STDIO_PUTTING) != 0 && ml_stdio_pending(file) > 0 &&
        ml_co_fflush(calls, file) != 0)
        return EOF;
    int byte = is_unread_disk(calls, file, fd) ? disk_byte(calls, entry, file, fd)
                                               : stream_byte(calls, entry, file, fd);
    ml_slice_spend_bytes(calls->hub, (ssize_t)ml_stdio_buffered(file));
    return byte;
}

int ml_co___uflow(struct ml_libc_calls *calls, FILE *file)
{
    struct ml_libc_call entry = calls->entry;
    int fd = ml_stdio_input_fd(calls, file, true);
    return fd < 0 ? ml_libc.__uflow(file) : next_byte(calls, entry, file, fd);
}

int ml_co_getc(struct ml_libc_calls *calls, FILE *file)
{
    struct ml_libc_call entry = calls->entry;
    int fd = ml_stdio_input_fd(calls, file, !ml_stdio_has_all(file, 1, -1));
    if (fd < 0)
        return ml_libc.getc(file);
    ml_stdio_enter(calls, file);
    int byte = next_byte(calls, entry, file, fd);
    ml_stdio_leave(calls, file);
    return byte;
}

int ml_co_fgetc(struct ml_libc_calls *calls, FILE *file)
{
    return ml_co_getc(calls, file);
}

/* Takes what is in the buffer. */
static size_t take_buffered(FILE *file, char *buffer, size_t size)
{
    size_t there = ml_stdio_buffered(file), part = there < size ? there : size;
    if (part > 0)
        memcpy(buffer, file->_IO_read_ptr, part);
    file->_IO_read_ptr += part;
    return part;
}

/* A read that is no smaller than the empty buffer of a file on a disk need not go through it.
 * Bytes; 0: nothing was done. *is_over: at the end, or failed. */
static size_t read_past(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd,
                        char *buffer, size_t size, bool *is_over)
{
    size_t room = (size_t)(file->_IO_buf_end - file->_IO_buf_base);
    if (room <= 1 || size < room || !is_unread_disk(calls, file, fd))
        return 0;
    ssize_t got = ml_stdio_read_past(calls, entry, file, fd, buffer, size - size % room);
    *is_over = got == 0 || got == -1;
    ml_slice_spend_bytes(calls->hub, got > 0 ? got : 0);
    return got > 0 ? (size_t)got : 0;
}

/* Takes the content of the buffer, then waits for the next byte, whose read fills the buffer
 * again. */
static size_t read_bytes(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd,
                         char *buffer, size_t size)
{
    size_t done = 0;
    bool is_over = false;
    while (done < size && !is_over) {
        size_t part = take_buffered(file, buffer + done, size - done);
        if (part == 0)
            part = read_past(calls, entry, file, fd, buffer + done, size - done, &is_over);
        done += part;
        if (part > 0 || is_over)
            continue;
        int byte = next_byte(calls, entry, file, fd);
        is_over = byte == EOF;
        if (!is_over)
            buffer[done++] = (char)byte;
    }
    return done;
}

size_t ml_co_fread(struct ml_libc_calls *calls, void *buffer, size_t size, size_t count, FILE *file)
{
    struct ml_libc_call entry = calls->entry;
    size_t bytes = 0;
    bool is_odd = __builtin_mul_overflow(size, count, &bytes) || bytes == 0;
    int fd = ml_stdio_input_fd(calls, file, !ml_stdio_has_all(file, bytes, -1));
    if (fd < 0 || is_odd)
        return ml_libc.fread(buffer, size, count, file);
    ml_stdio_enter(calls, file);
    size_t done = read_bytes(calls, entry, file, fd, buffer, bytes);
    ml_stdio_leave(calls, file);
    return done / size;
}

char *ml_co_fgets(struct ml_libc_calls *calls, char *buffer, int room, FILE *file)
{
    struct ml_libc_call entry = calls->entry;
    int length = 0, byte = 0;
    if (room <= 1)
        return ml_libc.fgets(buffer, room, file);
    int fd = ml_stdio_input_fd(calls, file, !ml_stdio_has_all(file, (size_t)room - 1, '\n'));
    if (fd < 0)
        return ml_libc.fgets(buffer, room, file);
    ml_stdio_enter(calls, file);
    int old_error = file->_flags & _IO_ERR_SEEN;
    file->_flags &= ~_IO_ERR_SEEN;
    while (length < room - 1 && byte != '\n' && (byte = next_byte(calls, entry, file, fd)) != EOF)
        buffer[length++] = (char)byte;
    bool has_failed = byte == EOF && ferror_unlocked(file) && errno != EAGAIN;
    file->_flags |= old_error;
    ml_stdio_leave(calls, file);
    if (length == 0 || has_failed)
        return NULL;
    buffer[length] = '\0';
    return buffer;
}

/* Makes room for `size` bytes in *line. 0, or -1 with errno set. */
static int make_room(char **line, size_t *room, size_t size)
{
    if (*line != NULL && size <= *room)
        return 0;
    size_t wanted = size < 120 ? 120 : size * 2;
    char *grown = realloc(*line, wanted);
    if (grown == NULL)
        return ml_fail(-ENOMEM);
    *line = grown;
    *room = wanted;
    return 0;
}

ssize_t ml_co_getdelim(struct ml_libc_calls *calls, char **line, size_t *room, int delimiter,
                       FILE *file)
{
    struct ml_libc_call entry = calls->entry;
    int byte = 0, delimiting = (unsigned char)delimiter;
    int fd = ml_stdio_input_fd(calls, file, !ml_stdio_has_all(file, SIZE_MAX, delimiting));
    size_t length = 0;
    if (fd < 0 || line == NULL || room == NULL)
        return ml_libc.getdelim(line, room, delimiter, file);
    ml_stdio_enter(calls, file);
    int error = make_room(line, room, 2);
    while (error == 0 && (byte = next_byte(calls, entry, file, fd)) != EOF) {
        (*line)[length++] = (char)byte;
        if (byte == delimiter)
            break;
        error = make_room(line, room, length + 2);
    }
    ml_stdio_leave(calls, file);
    if (error != 0 || length == 0)
        return -1;
    (*line)[length] = '\0';
    return (ssize_t)length;
}

ssize_t ml_co_getline(struct ml_libc_calls *calls, char **line, size_t *room, FILE *file)
{
    return ml_co_getdelim(calls, line, room, '\n', file);
}
