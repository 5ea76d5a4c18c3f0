/* Calls of stdio that write. What does not fit into the file's buffer is given to the kernel here, so that a
 * full pipe makes one task wait. */
#include "interpose/stdio_file.h"

#include <errno.h>
#include <stdio_ext.h>

/* Gives out what the buffer holds; what could not be given stays there. 0, or EOF with errno set. */
static int flush(struct ml_foreign *f, FILE *file, int fd)
{
    size_t pending = ml_stdio_pending(file);
    if (pending == 0)
        return 0;
    ssize_t sent = ml_co_write(f, fd, file->_IO_write_base, pending);
    size_t gone = sent > 0 ? (size_t)sent : 0;
    memmove(file->_IO_write_base, file->_IO_write_base + gone, pending - gone);
    file->_IO_write_ptr -= gone;
    if (gone == pending)
        return 0;
    ml_stdio_set_error(file);
    return EOF;
}

int ml_co_fflush(struct ml_foreign *f, FILE *file)
{
    int fd = file != NULL ? ml_stdio_slow_fd(f, file) : -1;
    if (fd < 0 || ml_stdio_pending(file) == 0)
        return ml_libc.fflush(file);
    ml_stdio_enter(f, file);
    int result = flush(f, file, fd);
    ml_stdio_leave(f, file);
    return result;
}

/* glibc's own, declared in none of its headers: gives a file its buffer, one of lines if it is a terminal. */
extern void _IO_doallocbuf(FILE *file);

/* Whether the bytes fit into the buffer and libc leaves them there: it is not asked to write them at once. */
static bool is_kept(FILE *file, const char *data, size_t size)
{
    size_t all = __fbufsize(file);
    size_t room =
        file->_IO_write_ptr != NULL ? (size_t)(file->_IO_buf_end - file->_IO_write_ptr) : all;
    bool is_line = __flbf(file) != 0 && memchr(data, '\n', size) != NULL;
    return all > 1 && !is_line && size < room;
}

/* Bytes that go out at once: to a file buffered by lines, those up to the last newline. */
static size_t urgent_size(FILE *file, const char *data, size_t size)
{
    const char *newline = __flbf(file) != 0 ? memrchr(data, '\n', size) : NULL;
    return newline != NULL ? (size_t)(newline + 1 - data) : size;
}

/* Returns how many bytes are on their way. */
static size_t write_bytes(struct ml_foreign *f, FILE *file, int fd, const char *data, size_t size)
{
    if (file->_IO_buf_base == NULL)
        _IO_doallocbuf(file);
    if (!is_kept(file, data, size) && flush(f, file, fd) != 0)
        return 0;
    size_t urgent = is_kept(file, data, size) ? 0 : urgent_size(file, data, size);
    ssize_t sent = urgent > 0 ? ml_co_write(f, fd, data, urgent) : 0;
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < urgent)
        ml_stdio_set_error(file);
    else if (done < size)
        done += ml_libc.fwrite(data + done, 1, size - done, file);
    return done;
}

static size_t put(struct ml_foreign *f, FILE *file, int fd, const char *data, size_t size)
{
    ml_stdio_enter(f, file);
    size_t done = write_bytes(f, file, fd, data, size);
    ml_stdio_leave(f, file);
    return done;
}

size_t ml_co_fwrite(struct ml_foreign *f, const void *data, size_t size, size_t count, FILE *file)
{
    size_t bytes;
    int fd = ml_stdio_slow_fd(f, file);
    if (fd < 0 || __builtin_mul_overflow(size, count, &bytes) || bytes == 0)
        return ml_libc.fwrite(data, size, count, file);
    size_t done = put(f, file, fd, data, bytes);
    return done == bytes ? count : done / size;
}

int ml_co_fputs(struct ml_foreign *f, const char *text, FILE *file)
{
    size_t size = strlen(text);
    int fd = ml_stdio_slow_fd(f, file);
    if (fd < 0)
        return ml_libc.fputs(text, file);
    return put(f, file, fd, text, size) == size ? 1 : EOF;
}

int ml_co_fputc(struct ml_foreign *f, int character, FILE *file)
{
    char byte = (char)character;
    int fd = ml_stdio_slow_fd(f, file);
    if (fd < 0)
        return ml_libc.fputc(character, file);
    return put(f, file, fd, &byte, 1) == 1 ? (unsigned char)byte : EOF;
}

int ml_co_putc(struct ml_foreign *f, int character, FILE *file)
{
    return ml_co_fputc(f, character, file);
}

/* What putc_unlocked() comes to when the buffer is full. */
int ml_co___overflow(struct ml_foreign *f, FILE *file, int character)
{
    char byte = (char)character;
    int fd = ml_stdio_slow_fd(f, file);
    if (fd < 0)
        return ml_libc.__overflow(file, character);
    return write_bytes(f, file, fd, &byte, 1) == 1 ? (unsigned char)byte : EOF;
}

int ml_co_puts(struct ml_foreign *f, const char *text)
{
    struct ml_entry entry = f->entry;
    int fd = ml_stdio_slow_fd(f, stdout);
    if (fd < 0)
        return ml_libc.puts(text);
    ml_stdio_enter(f, stdout);
    size_t size = strlen(text);
    bool is_done = write_bytes(f, stdout, fd, text, size) == size;
    f->entry = entry;
    is_done = is_done && write_bytes(f, stdout, fd, "\n", 1) == 1;
    ml_stdio_leave(f, stdout);
    return is_done ? 1 : EOF;
}

int ml_co_vfprintf(struct ml_foreign *f, FILE *file, const char *format, va_list arguments)
{
    struct ml_entry entry = f->entry;
    char *text = NULL;
    int fd = ml_stdio_slow_fd(f, file);
    if (fd < 0)
        return ml_libc.vfprintf(file, format, arguments);
    int size = vasprintf(&text, format, arguments);
    if (size < 0)
        return -1;
    f->entry = entry;
    size_t done = put(f, file, fd, text, (size_t)size);
    free(text);
    return done == (size_t)size ? size : -1;
}
