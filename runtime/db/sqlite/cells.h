/*
 * Values on their way between a script and a connection: cells in a row in a buffer. Each is a
 * header and, for texts and blobs, its bytes, filled up to a multiple of 8. Knows neither Lua nor
 * SQLite.
 */
#ifndef ML_DB_SQLITE_CELLS_H
#define ML_DB_SQLITE_CELLS_H

#include "base/buffer.h"

#include <stdint.h>

enum ml_cell_type { ML_CELL_NULL, ML_CELL_INTEGER, ML_CELL_FLOAT, ML_CELL_TEXT, ML_CELL_BLOB };

/* The longest text or blob that SQLite takes, unless it was built otherwise. */
enum { ML_CELL_LONGEST = 1000000000 };

struct ml_cell {
    uint32_t type;
    uint32_t size; /* bytes that follow; at most ML_CELL_LONGEST */
    union {
        int64_t integer;
        double number;
    } value;
};

/* Each appends a cell. 0 or -ENOMEM, and the buffer is as it was. */
int ml_cell_put_null(struct ml_buffer *b);
int ml_cell_put_integer(struct ml_buffer *b, int64_t value);
int ml_cell_put_float(struct ml_buffer *b, double value);
int ml_cell_put_bytes(struct ml_buffer *b, enum ml_cell_type type, const void *bytes, size_t size);

/* The cell behind `cell`. */
static inline const struct ml_cell *ml_cell_next(const struct ml_cell *cell)
{
    size_t padded = ((size_t)cell->size + 7) / 8 * 8;
    return (const struct ml_cell *)((const char *)(cell + 1) + padded);
}

static inline const char *ml_cell_bytes(const struct ml_cell *cell)
{
    return (const char *)(cell + 1);
}

#endif
