#include "base/buffer.h"

#include "base/check.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_BLOCK = 512 };

static void move_to_front(struct ml_buffer *b)
{
    memmove(b->memory, b->memory + b->start, ml_buffer_size(b));
    b->end -= b->start;
    b->start = 0;
}

int ml_buffer_reserve(struct ml_buffer *b, size_t size)
{
    if (ml_buffer_room(b) >= size)
        return 0;
    if (size > SIZE_MAX / 2 - ml_buffer_size(b))
        return -ENOMEM;
    size_t needed = ml_buffer_size(b) + size;
    if (b->start > 0)
        move_to_front(b);
    if (needed <= b->capacity)
        return 0;
    size_t capacity = b->capacity < SMALLEST_BLOCK ? SMALLEST_BLOCK : b->capacity * 2;
    if (capacity < needed)
        capacity = needed;
    char *memory = realloc(b->memory, capacity);
    if (memory == NULL)
        return -ENOMEM;
    b->memory = memory;
    b->capacity = capacity;
    return 0;
}

void ml_buffer_commit(struct ml_buffer *b, size_t size)
{
    ML_CHECK(size <= ml_buffer_room(b));
    b->end += size;
}

void ml_buffer_consume(struct ml_buffer *b, size_t size)
{
    ML_CHECK(size <= ml_buffer_size(b));
    b->start += size;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void ml_buffer_release(struct ml_buffer *b)
{
    free(b->memory);
    *b = (struct ml_buffer){0};
}
