#include "interpose/stdio_disk.h"

#include "interpose/call_wait.h"
#include "interpose/disk_reading.h"
#include "interpose/fd_kind.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"
#include "interpose/stdio_buffer.h"
#include "interpose/stdio_file.h"
#include "system/file/call.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Declared in no header of glibc: the functions of a file that is read and written by descriptor,
 * to which a field behind the FILE points; and how a file gets a buffer, which is freed with it. */
extern const char _IO_file_jumps[];
extern void _IO_doallocbuf(FILE *file);
extern void _IO_setb(FILE *file, char *begin, char *end, int is_freed);

struct whole_file {
    FILE file;
    const void *functions;
};

bool ml_stdio_is_usual(const FILE *file)
{
    const struct whole_file *whole = (const struct whole_file *)file;
    return whole->functions == _IO_file_jumps && file->_mode <= 0 && file->_IO_save_base == NULL;
}

void ml_stdio_give_buffer(FILE *file, bool is_far)
{
    enum { SIZE = 4096 };
    if (file->_IO_buf_base != NULL)
        return;
    char *buffer = is_far && (file->_flags & ML_STDIO_UNBUFFERED) == 0 ? malloc(SIZE) : NULL;
    if (buffer != NULL)
        _IO_setb(file, buffer, buffer + SIZE, 1);
    else
        _IO_doallocbuf(file);
}

/* ---- reading ---- */

/* As libc's own read leaves a file. It does not remember the place at the end, since the program
 * may pass the descriptor on then. */
static ssize_t note_read(FILE *file, ssize_t got)
{
    if (got < 0)
        file->_flags |= _IO_ERR_SEEN;
    else if (got == 0)
        file->_flags |= _IO_EOF_SEEN;
    if (got == 0)
        file->_offset = -1;
    else if (got > 0 && file->_offset >= 0)
        file->_offset += got;
    return got < 0 ? ml_fail((int)got) : got;
}

/* The file was written before, or never used: all pointers go to the begin of the buffer. */
static void begin_reading(FILE *file, size_t size)
{
    file->_flags &= ~ML_STDIO_PUTTING;
    file->_mode = -1;
    file->_IO_read_base = file->_IO_read_ptr = file->_IO_buf_base;
    file->_IO_read_end = file->_IO_buf_base + size;
    file->_IO_write_base = file->_IO_write_ptr = file->_IO_write_end = file->_IO_buf_base;
}

/* What a worker has brought, of which as much is taken as there is room for. */
static ssize_t take(int fd, struct ml_file_call *call, char *memory, size_t room)
{
    size_t size = call->size < room ? call->size : room;
    ssize_t got = call->result < 0 ? call->result : (ssize_t)size;
    if (size > 0)
        memcpy(memory, call->data, size);
    ml_disk_advance(fd, call, size);
    ml_file_call_free(call);
    return got;
}

static size_t room_of(const FILE *file)
{
    return (size_t)(file->_IO_buf_end - file->_IO_buf_base);
}

static void note_blind(struct ml_libc_calls *calls, int fd)
{
    struct statx status;
    if (ml_fd_kind_look(fd, &status) == 0)
        ml_disks_learn_blind(&calls->disks, &status);
}

/* -EAGAIN: a worker must read; -ESPIPE: libc can, in memory. The kind was looked at just now. */
static ssize_t peek(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd, void *memory,
                    size_t room)
{
    if (calls->blind_fd == fd)
        return -ESPIPE;
    ssize_t got = ml_disk_peek(fd, memory, room);
    if (got != -EOPNOTSUPP)
        return got;
    bool is_near = ml_fd_kind_of(calls, fd) == ML_FD_KIND_DISK || ml_disk_is_near(calls, entry, fd);
    if (is_near)
        note_blind(calls, fd);
    return is_near ? -ESPIPE : -EAGAIN;
}

/* Meanwhile another task may have given the file another buffer. */
static ssize_t fill_by_worker(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file,
                              int fd)
{
    int error;
    struct ml_file_call *call = ml_disk_fetch(calls, entry, fd, room_of(file), &error);
    if (call == NULL)
        return error;
    return take(fd, call, file->_IO_buf_base, room_of(file));
}

ssize_t ml_stdio_fill(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd)
{
    if ((file->_flags & (ML_STDIO_NO_READS | _IO_EOF_SEEN)) != 0)
        return -ESPIPE;
    ml_stdio_give_buffer(file, ml_fd_kind_of(calls, fd) == ML_FD_KIND_FAR);
    ssize_t got = peek(calls, entry, fd, file->_IO_buf_base, room_of(file));
    if (got == -EAGAIN)
        got = fill_by_worker(calls, entry, file, fd);
    if (got == -ESPIPE)
        return got;
    begin_reading(file, got > 0 ? (size_t)got : 0);
    return note_read(file, got);
}

ssize_t ml_stdio_read_past(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file,
                           int fd, char *memory, size_t room)
{
    if ((file->_flags & (ML_STDIO_NO_READS | _IO_EOF_SEEN | ML_STDIO_PUTTING)) != 0)
        return -ESPIPE;
    int error = 0;
    ssize_t got = peek(calls, entry, fd, memory, room);
    struct ml_file_call *call =
        got == -EAGAIN ? ml_disk_fetch(calls, entry, fd, room, &error) : NULL;
    if (got == -EAGAIN)
        got = call != NULL ? take(fd, call, memory, room) : error;
    if (got == -ESPIPE)
        return got;
    begin_reading(file, 0); /* what it has is older: a later seek must not come back to it */
    return note_read(file, got);
}

/* ---- places ---- */

/* Where the next byte is read or written. A negated errno: the file has no places. */
static off64_t place_of(const FILE *file, int fd)
{
    off64_t end = lseek64(fd, 0, SEEK_CUR);
    return end < 0 ? -errno : end - (off64_t)ml_stdio_buffered(file);
}

static int make_size(struct ml_file_call *call)
{
    call->numbers[0] = lseek64((int)call->numbers[1], call->numbers[0], SEEK_END);
    return call->numbers[0] >= 0 ? 0 : -errno;
}

/* Goes to a place before or behind the end of the file. The place, or a negated errno. */
static off64_t go_to_end(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                         off64_t offset)
{
    struct ml_file_call *call = ml_file_call_new(make_size, false, NULL, NULL, NULL, 0);
    if (call == NULL)
        return -ENOMEM;
    call->numbers[0] = offset;
    call->numbers[1] = fd;
    int error = ml_call_wait_job(calls, entry, &call->job);
    if (error != 0)
        return error;
    off64_t place = call->result < 0 ? call->result : call->numbers[0];
    ml_file_call_free(call);
    return place;
}

static off64_t go_to(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd, off64_t offset,
                     int whence)
{
    if (whence == SEEK_END && ml_fd_kind_of(calls, fd) == ML_FD_KIND_FAR)
        return go_to_end(calls, entry, fd, offset);
    off64_t place = lseek64(fd, offset, whence);
    return place < 0 ? -errno : place;
}

/* Stays in the buffer if the place is there. A write in the middle of a buffer is libc's, on the
 * thread: where that may wait for a server the buffer is left. */
static bool stays(FILE *file, off64_t now, off64_t place, bool is_far)
{
    off64_t distance = place - now;
    bool is_written = (file->_flags & ML_STDIO_NO_WRITES) == 0;
    bool is_there = !(is_far && is_written) &&
                    distance <= file->_IO_read_end - file->_IO_read_ptr &&
                    distance >= file->_IO_read_base - file->_IO_read_ptr;
    if (is_there)
        file->_IO_read_ptr += distance;
    return is_there;
}

/* The output was written out. 0 or -1 with errno set. */
static int seek(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file, int fd,
                off64_t offset, int whence)
{
    off64_t now = place_of(file, fd), place = 0;
    if (now < 0)
        return ml_fail((int)now);
    if (whence == SEEK_CUR && __builtin_add_overflow(now, offset, &offset))
        return ml_fail(-EOVERFLOW);
    whence = whence == SEEK_CUR ? SEEK_SET : whence;
    bool is_reading = (file->_flags & ML_STDIO_PUTTING) == 0;
    bool is_far = ml_fd_kind_of(calls, fd) == ML_FD_KIND_FAR;
    if (!is_reading || whence != SEEK_SET || !stays(file, now, offset, is_far)) {
        place = go_to(calls, entry, fd, offset, whence);
        if (place < 0)
            return ml_fail((int)place);
        begin_reading(file, 0);
        file->_offset = place;
    }
    file->_flags &= ~_IO_EOF_SEEN;
    return 0;
}

/* libc reads from the disk when it goes to a place. A remembered kind that is out of date does no
 * harm: what is no disk has no places. */
int ml_co_fseeko64(struct ml_libc_calls *calls, FILE *file, off64_t offset, int whence)
{
    struct ml_libc_call entry = calls->entry;
    int saved = errno, fd = fileno_unlocked(file);
    errno = saved;
    bool is_ours = fd >= 0 && (unsigned)whence <= SEEK_END && ml_stdio_is_usual(file) &&
                   file->_IO_buf_base != NULL && ml_fd_kind_has_disk(ml_fd_kind_of(calls, fd));
    if (!is_ours)
        return ml_libc.fseeko64(file, offset, whence);
    ml_stdio_enter(calls, file);
    int error = ml_stdio_pending(file) > 0 ? ml_co_fflush(calls, file) : 0;
    if (error == 0)
        error = seek(calls, entry, file, fd, offset, whence);
    ml_stdio_leave(calls, file);
    return error;
}
