/* Calls of stdio that write. Bytes that do not fit into the file's buffer are written to the kernel
 * here, so that a full pipe makes one task wait. */
#include "interpose/sending.h"
#include "interpose/stdio_buffer.h"
#include "interpose/stdio_disk.h"
#include "interpose/stdio_file.h"

#include "interpose/child_file.h"
#include "interpose/fd_kind.h"
#include "interpose/held_locks.h"

#include <errno.h>
#include <limits.h>
#include <stdio_ext.h>

/* Whether `size` bytes fit into the buffer. */
static bool has_room(const FILE *file, size_t size)
{
    size_t all = (size_t)(file->_IO_buf_end - file->_IO_buf_base);
    size_t room =
        file->_IO_write_ptr != NULL ? (size_t)(file->_IO_buf_end - file->_IO_write_ptr) : all;
    return all > 1 && size < room;
}

static bool is_by_lines(const FILE *file)
{
    return (file->_flags & ML_STDIO_BY_LINES) != 0;
}

/* Whether the bytes fit into the buffer and libc leaves them there, instead of writing them at
 * once. */
static bool is_kept(const FILE *file, const char *data, size_t size)
{
    bool is_line = is_by_lines(file) && memchr(data, '\n', size) != NULL;
    return !is_line && has_room(file, size);
}

/* Whether input that was read ahead occupies the place for the output: libc seeks back then, or
 * fails. */
static bool has_unread(const FILE *file)
{
    return (file->_flags & ML_STDIO_PUTTING) != 0 ? file->_IO_read_end != file->_IO_write_base
                                                  : ml_stdio_buffered(file) > 0;
}

/* A write to a command that has ended fails without a signal, as a stream's does: the end of one
 * client must not end the program. */
static ssize_t give(struct ml_libc_calls *calls, FILE *file, int fd, const char *data, size_t size)
{
    bool is_ours;
    return ml_child_file_pid(file, &is_ours) != 0 ? ml_write_quietly(calls, fd, data, size)
                                                  : ml_co_write(calls, fd, data, size);
}

/* After a cancellation in the middle: keeps the unsent rest in the file's buffer, unless the buffer
 * is used again by now. */
static void keep(FILE *file, const char *data, size_t size)
{
    if (ml_stdio_pending(file) > 0 || (size_t)(file->_IO_buf_end - file->_IO_write_base) < size)
        return;
    memcpy(file->_IO_write_base, data, size);
    file->_IO_write_ptr = file->_IO_write_base + size;
}

/*
 * Writes out the content of the buffer; if the kernel refuses it, it is lost, as in libc. 0, or EOF
 * with errno set. The buffer is empty while the task waits: libc's fflush(NULL) in another task
 * (io.popen calls it) knows nothing of the wait and would send the same bytes.
 */
static int flush(struct ml_libc_calls *calls, FILE *file, int fd)
{
    size_t pending = ml_stdio_pending(file);
    if (pending == 0)
        return 0;
    char *data = has_unread(file) ? NULL : malloc(pending);
    if (data == NULL)
        return ml_libc.fflush(file);
    memcpy(data, file->_IO_write_base, pending);
    file->_IO_write_ptr = file->_IO_write_base;
    ssize_t sent = give(calls, file, fd, data, pending);
    size_t gone = sent > 0 ? (size_t)sent : 0;
    if (gone < pending) {
        ml_stdio_set_error(file);
        if (errno == ECANCELED)
            keep(file, data + gone, pending - gone);
    }
    int saved = errno;
    free(data);
    errno = saved;
    return gone == pending ? 0 : EOF;
}

/* Declared in no header of glibc: the list of all files. */
extern void *_IO_iter_begin(void);
extern void *_IO_iter_end(void);
extern void *_IO_iter_next(void *iterator);
extern FILE *_IO_iter_file(void *iterator);
extern void _IO_list_lock(void);
extern void _IO_list_unlock(void);

/* Whether the file holds bytes that may have to wait, and no task uses it: then takes it for this
 * task. A thread that closes the file waits for the file's lock, and before that for the list's,
 * before it frees it. */
static bool take_pending(struct ml_libc_calls *calls, FILE *file)
{
    if (ml_stdio_pending(file) == 0 || file->_mode > 0 || has_unread(file) ||
        ml_stdio_slow_fd(calls, file, true) < 0 ||
        ml_lock_await(calls, file, ML_LOCK_WHOLE, ML_NEVER_WAIT) != 0 ||
        ml_libc.ftrylockfile(file) != 0)
        return false;
    ml_lock_note(calls, file, ML_LOCK_WHOLE);
    return true;
}

/* A file whose output may have to wait; NULL: there is none. */
static FILE *take_some_pending(struct ml_libc_calls *calls)
{
    FILE *taken = NULL;
    _IO_list_lock();
    for (void *i = _IO_iter_begin(); taken == NULL && i != _IO_iter_end(); i = _IO_iter_next(i))
        if (take_pending(calls, _IO_iter_file(i)))
            taken = _IO_iter_file(i);
    _IO_list_unlock();
    return taken;
}

/* Flushes all files: those that may have to wait one by one, the rest by libc. */
static int flush_all(struct ml_libc_calls *calls)
{
    struct ml_libc_call entry = calls->entry;
    FILE *file;
    int result = 0;
    while (result == 0 && (file = take_some_pending(calls)) != NULL) {
        calls->entry = entry;
        result = flush(calls, file, fileno_unlocked(file));
        ml_stdio_leave(calls, file);
    }
    int saved = errno;
    if (ml_libc.fflush(NULL) != 0)
        return EOF;
    errno = saved;
    return result;
}

int ml_co_fflush(struct ml_libc_calls *calls, FILE *file)
{
    if (file == NULL)
        return flush_all(calls);
    int fd = ml_stdio_slow_fd(calls, file, ml_stdio_pending(file) > 0);
    if (fd < 0 || ml_stdio_pending(file) == 0)
        return ml_libc.fflush(file);
    ml_stdio_enter(calls, file);
    int result = flush(calls, file, fd);
    ml_stdio_leave(calls, file);
    return result;
}

/* The number of bytes that go out at once: to a file buffered by lines, those up to the last
 * newline. */
static size_t urgent_size(FILE *file, const char *data, size_t size)
{
    const char *newline = __flbf(file) != 0 ? memrchr(data, '\n', size) : NULL;
    return newline != NULL ? (size_t)(newline + 1 - data) : size;
}

/* Returns how many bytes were taken, into the buffer or by the kernel. */
static size_t write_bytes(struct ml_libc_calls *calls, FILE *file, int fd, const char *data,
                          size_t size)
{
    struct ml_libc_call entry = calls->entry;
    if ((file->_flags & ML_STDIO_NO_WRITES) != 0 || has_unread(file))
        return ml_libc.fwrite(data, 1, size, file);
    ml_stdio_give_buffer(file, ml_fd_kind_of(calls, fd) == ML_FD_KIND_FAR);
    if (!is_kept(file, data, size) && flush(calls, file, fd) != 0)
        return 0;
    calls->entry = entry;
    size_t urgent = is_kept(file, data, size) ? 0 : urgent_size(file, data, size);
    ssize_t sent = urgent > 0 ? give(calls, file, fd, data, urgent) : 0;
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < urgent)
        ml_stdio_set_error(file);
    else if (done < size)
        done += ml_libc.fwrite(data + done, 1, size - done, file);
    return done;
}

static size_t put(struct ml_libc_calls *calls, FILE *file, int fd, const char *data, size_t size)
{
    ml_stdio_enter(calls, file);
    size_t done = write_bytes(calls, file, fd, data, size);
    ml_stdio_leave(calls, file);
    return done;
}

size_t ml_co_fwrite(struct ml_libc_calls *calls, const void *data, size_t size, size_t count,
                    FILE *file)
{
    size_t bytes = 0;
    bool is_odd = __builtin_mul_overflow(size, count, &bytes) || bytes == 0;
    int fd = ml_stdio_slow_fd(calls, file, is_odd || !is_kept(file, data, bytes));
    if (fd < 0 || is_odd)
        return ml_libc.fwrite(data, size, count, file);
    size_t done = put(calls, file, fd, data, bytes);
    return done == bytes ? count : done / size;
}

int ml_co_fputs(struct ml_libc_calls *calls, const char *text, FILE *file)
{
    size_t size = strlen(text);
    int fd = ml_stdio_slow_fd(calls, file, !is_kept(file, text, size));
    if (fd < 0)
        return ml_libc.fputs(text, file);
    return put(calls, file, fd, text, size) == size ? 1 : EOF;
}

int ml_co_fputc(struct ml_libc_calls *calls, int character, FILE *file)
{
    char byte = (char)character;
    int fd = ml_stdio_slow_fd(calls, file, !is_kept(file, &byte, 1));
    if (fd < 0)
        return ml_libc.fputc(character, file);
    return put(calls, file, fd, &byte, 1) == 1 ? (unsigned char)byte : EOF;
}

int ml_co_putc(struct ml_libc_calls *calls, int character, FILE *file)
{
    return ml_co_fputc(calls, character, file);
}

/* putc_unlocked() calls this when the buffer is full. */
int ml_co___overflow(struct ml_libc_calls *calls, FILE *file, int character)
{
    char byte = (char)character;
    int fd = ml_stdio_slow_fd(calls, file, true);
    if (fd < 0)
        return ml_libc.__overflow(file, character);
    return write_bytes(calls, file, fd, &byte, 1) == 1 ? (unsigned char)byte : EOF;
}

int ml_co_puts(struct ml_libc_calls *calls, const char *text)
{
    struct ml_libc_call entry = calls->entry;
    int fd = ml_stdio_slow_fd(calls, stdout, true);
    if (fd < 0)
        return ml_libc.puts(text);
    ml_stdio_enter(calls, stdout);
    size_t size = strlen(text);
    bool is_done = write_bytes(calls, stdout, fd, text, size) == size;
    calls->entry = entry;
    is_done = is_done && write_bytes(calls, stdout, fd, "\n", 1) == 1;
    ml_stdio_leave(calls, stdout);
    return !is_done ? EOF : size < INT_MAX ? (int)size + 1 : INT_MAX;
}

/* More bytes than most formats produce: with that much room in the buffer, no wait is needed. */
enum { USUAL_SIZE = 256 };

int ml_co_vfprintf(struct ml_libc_calls *calls, FILE *file, const char *format, va_list arguments)
{
    struct ml_libc_call entry = calls->entry;
    char *text = NULL;
    int fd = ml_stdio_slow_fd(calls, file, is_by_lines(file) || !has_room(file, USUAL_SIZE));
    if (fd < 0)
        return ml_libc.vfprintf(file, format, arguments);
    int size = vasprintf(&text, format, arguments);
    if (size < 0)
        return -1;
    calls->entry = entry;
    size_t done = put(calls, file, fd, text, (size_t)size);
    free(text);
    return done == (size_t)size ? size : -1;
}
