/*
 * What the calls of stdio share. libc's stdio calls read and write inside itself, unseen; so before
 * it would, the task waits until they do not block, and what is written goes out by ourselves. This
 * looks into the part of FILE that glibc's header shows for its own macros.
 */
#ifndef ML_INTERPOSE_STDIO_FILE_H
#define ML_INTERPOSE_STDIO_FILE_H

#include "interpose/libc_call.h"

/* The descriptor of a file whose reads and writes may block: a pipe, a terminal, a socket; -1:
 * anything else. may_call: the call that is made may read or write the descriptor, so that what is
 * remembered of it has to be true. */
int ml_stdio_slow_fd(struct ml_libc_calls *calls, FILE *file, bool may_call);

/* No other task uses the file until ml_stdio_leave(). */
void ml_stdio_enter(struct ml_libc_calls *calls, FILE *file);
void ml_stdio_leave(struct ml_libc_calls *calls, FILE *file);

/* What tasks that wait for the file's lock hold, as a lock. */
static inline const void *ml_stdio_queue(FILE *file)
{
    return (const char *)file + 1;
}

/* For who closes the file: those who wait in it are turned away, and it is this task's alone until
 * the next wait. False: another one is in it still, and this one may not wait for that. */
bool ml_stdio_turn_away(struct ml_libc_calls *calls, FILE *file);

/* fclose() that knows of tasks: 0 or a negated errno. A file that another task still uses, where
 * this one may not wait, is freed later. */
int ml_stdio_close(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file);

/* Frees files that were closed while another task used them, as far as that one has left them; all,
 * when no task is alive any more. */
void ml_stdio_sweep(struct ml_libc_calls *calls);
void ml_stdio_release(struct ml_libc_calls *calls);

/* As in glibc's libio.h, of which no header shows them. */
enum {
    ML_STDIO_NO_READS = 4,
    ML_STDIO_NO_WRITES = 8,
    ML_STDIO_BY_LINES = 0x200,
    ML_STDIO_PUTTING = 0x800
};

/* After a call that failed with errno set: ferror() says so, as after libc's own. */
static inline void ml_stdio_set_error(FILE *file)
{
    file->_flags |= _IO_ERR_SEEN;
}

/* Bytes that were read and not taken, as far as they lie together. */
static inline size_t ml_stdio_buffered(const FILE *file)
{
    return (size_t)(file->_IO_read_end - file->_IO_read_ptr);
}

/* Whether so many bytes, or all up to a `delimiter` (-1: none), are there without a read. */
static inline bool ml_stdio_has_all(const FILE *file, size_t size, int delimiter)
{
    size_t there = ml_stdio_buffered(file);
    return there >= size ||
           (delimiter >= 0 && there > 0 && memchr(file->_IO_read_ptr, delimiter, there) != NULL);
}

/* Whether the next byte is there without a read. After ungetc() of another character than was read,
 * the buffer is set aside (glibc, libio.h: _IO_IN_BACKUP). */
static inline bool ml_stdio_has_input(const FILE *file)
{
    enum { IN_BACKUP = 0x100 };
    bool is_set_aside = (file->_flags & IN_BACKUP) != 0;
    return ml_stdio_buffered(file) > 0 ||
           (is_set_aside && file->_IO_save_end > file->_IO_save_base);
}

/* Bytes that were written and not given to the kernel. */
static inline size_t ml_stdio_pending(const FILE *file)
{
    return (size_t)(file->_IO_write_ptr - file->_IO_write_base);
}

#endif
