#include "db/sqlite/cells.h"

#include <string.h>

static int put(struct ml_buffer *b, const struct ml_cell *cell, const void *bytes)
{
    size_t padded = ((size_t)cell->size + 7) / 8 * 8;
    int error = ml_buffer_reserve(b, sizeof *cell + padded);
    if (error != 0)
        return error;
    char *end = ml_buffer_end(b);
    memcpy(end, cell, sizeof *cell);
    if (cell->size > 0)
        memcpy(end + sizeof *cell, bytes, cell->size);
    ml_buffer_commit(b, sizeof *cell + padded);
    return 0;
}

int ml_cell_put_null(struct ml_buffer *b)
{
    return put(b, &(struct ml_cell){.type = ML_CELL_NULL}, "");
}

int ml_cell_put_integer(struct ml_buffer *b, int64_t value)
{
    return put(b, &(struct ml_cell){.type = ML_CELL_INTEGER, .value.integer = value}, "");
}

int ml_cell_put_float(struct ml_buffer *b, double value)
{
    return put(b, &(struct ml_cell){.type = ML_CELL_FLOAT, .value.number = value}, "");
}

int ml_cell_put_bytes(struct ml_buffer *b, enum ml_cell_type type, const void *bytes, size_t size)
{
    return put(b, &(struct ml_cell){.type = type, .size = (uint32_t)size}, bytes);
}
