/*
 * The buffer of a FILE, seen through the fields that glibc's header shows for its own macros: bytes
 * that were read and not taken, bytes that were written and not given to the kernel.
 */
#ifndef ML_INTERPOSE_STDIO_BUFFER_H
#define ML_INTERPOSE_STDIO_BUFFER_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* As in glibc's libio.h, which is not installed. */
enum {
    ML_STDIO_UNBUFFERED = 2,
    ML_STDIO_NO_READS = 4,
    ML_STDIO_NO_WRITES = 8,
    ML_STDIO_BY_LINES = 0x200,
    ML_STDIO_PUTTING = 0x800
};

/* For a call that failed with errno set: makes ferror() say so, as after libc's own. */
static inline void ml_stdio_set_error(FILE *file)
{
    file->_flags |= _IO_ERR_SEEN;
}

/* Bytes that were read and not taken, as far as they are contiguous. */
static inline size_t ml_stdio_buffered(const FILE *file)
{
    return (size_t)(file->_IO_read_end - file->_IO_read_ptr);
}

/* Whether `size` bytes, or all bytes up to a `delimiter` (-1: none), are there without a read. */
static inline bool ml_stdio_has_all(const FILE *file, size_t size, int delimiter)
{
    size_t there = ml_stdio_buffered(file);
    return there >= size ||
           (delimiter >= 0 && there > 0 && memchr(file->_IO_read_ptr, delimiter, there) != NULL);
}

/* Whether the next byte is there without a read. After ungetc() of a character other than the last
 * one, the buffer is set aside (glibc, libio.h: _IO_IN_BACKUP). */
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
