/*
 * A growable run of bytes that is filled at its end and emptied at its start. Holds no memory
 * while it is empty and was never reserved; knows nothing of descriptors.
 */
#ifndef ML_BASE_BUFFER_H
#define ML_BASE_BUFFER_H

#include <stddef.h>

struct ml_buffer {
    char *memory; /* malloc'd, NULL when capacity is 0 */
    size_t start; /* first byte of the content */
    size_t end;   /* one past its last byte */
    size_t capacity;
};

static inline size_t ml_buffer_size(const struct ml_buffer *b)
{
    return b->end - b->start;
}

/* Its first byte; "" while the buffer holds no memory. */
static inline const char *ml_buffer_data(const struct ml_buffer *b)
{
    return b->memory != NULL ? b->memory + b->start : "";
}

/* Bytes that can be written at ml_buffer_end() without another reserve. */
static inline size_t ml_buffer_room(const struct ml_buffer *b)
{
    return b->capacity - b->end;
}

/* Where to write after a successful reserve of at least one byte. */
static inline char *ml_buffer_end(struct ml_buffer *b)
{
    return b->memory + b->end;
}

/* Makes room for `size` more bytes, doubling the block when it must grow. 0 or -ENOMEM. */
int ml_buffer_reserve(struct ml_buffer *b, size_t size);

/* Takes in `size` bytes that the caller wrote at ml_buffer_end(). */
void ml_buffer_commit(struct ml_buffer *b, size_t size);

/* Drops `size` bytes at the start; size is at most ml_buffer_size(). */
void ml_buffer_consume(struct ml_buffer *b, size_t size);

/* Frees the memory; the buffer is empty and usable again. */
void ml_buffer_release(struct ml_buffer *b);

#endif
