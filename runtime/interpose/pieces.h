/* Lists of pieces, as readv and sendmsg take them. Knows no descriptor. */
#ifndef ML_INTERPOSE_PIECES_H
#define ML_INTERPOSE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* Bytes in all. */
static inline size_t ml_pieces_size(const struct iovec *pieces, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

/* Whether the pieces have no byte at all: then they are no message. */
static inline bool ml_pieces_are_empty(const struct iovec *pieces, int count)
{
    for (int i = 0; i < count; i++)
        if (pieces[i].iov_len > 0)
            return false;
    return true;
}

#endif
