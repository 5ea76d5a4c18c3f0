#include "db/sqlite/rows.h"

#include "db/sqlite/library.h"

#include <errno.h>
#include <string.h>

static int put_text(struct ml_buffer *out, const char *text)
{
    return text == NULL ? ml_cell_put_null(out)
                        : ml_cell_put_bytes(out, ML_CELL_TEXT, text, strlen(text));
}

/* The names are those of the statement as it was last prepared: after its first step. */
static int put_names(struct ml_sqlite_call *call, sqlite3_stmt *handle)
{
    int error = 0;
    call->columns = (unsigned)sqlite3_column_count(handle);
    for (int i = 0; error == 0 && i < (int)call->columns; i++) {
        const char *name = sqlite3_column_name(handle, i);
        error = name != NULL ? put_text(&call->output, name) : -ENOMEM;
    }
    for (int i = 0; error == 0 && (call->flags & ML_SQLITE_WANTS_TYPES) && i < (int)call->columns;
         i++)
        error = put_text(&call->output, sqlite3_column_decltype(handle, i));
    return error;
}

/* SQLite returns NULL for want of memory, and for an empty blob. */
static int put_bytes(struct ml_buffer *out, enum ml_cell_type type, const void *bytes, int size)
{
    if (bytes == NULL && (type == ML_CELL_TEXT || size > 0))
        return -ENOMEM;
    return ml_cell_put_bytes(out, type, bytes, (size_t)size);
}

/* Its size first, as UTF-8: then SQLite need not copy the text to put a 0 behind it. */
static int put_column_text(struct ml_buffer *out, sqlite3_stmt *handle, int i)
{
    int size = sqlite3_column_bytes(handle, i);
    const void *bytes =
        size > 0 ? sqlite3_column_blob(handle, i) : (const void *)sqlite3_column_text(handle, i);
    return put_bytes(out, ML_CELL_TEXT, bytes, size);
}

static int put_value(struct ml_buffer *out, sqlite3_stmt *handle, int i)
{
    const void *bytes;
    switch (sqlite3_column_type(handle, i)) {
    case SQLITE_INTEGER:
        return ml_cell_put_integer(out, sqlite3_column_int64(handle, i));
    case SQLITE_FLOAT:
        return ml_cell_put_float(out, sqlite3_column_double(handle, i));
    case SQLITE_TEXT:
        return put_column_text(out, handle, i);
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(handle, i);
        return put_bytes(out, ML_CELL_BLOB, bytes, sqlite3_column_bytes(handle, i));
    default:
        return ml_cell_put_null(out);
    }
}

static int put_row(struct ml_sqlite_call *call, sqlite3_stmt *handle)
{
    int error = 0;
    if (!(call->flags & ML_SQLITE_WANTS_ROWS))
        return 0;
    if (call->rows == 0)
        error = put_names(call, handle);
    for (int i = 0; error == 0 && i < (int)call->columns; i++)
        error = put_value(&call->output, handle, i);
    call->rows++;
    return error;
}

/* A statement that changes something is run to its end, whatever it returns: half of it would be
 * undone. */
static bool is_full(const struct ml_sqlite_call *call, const struct ml_sqlite_statement *statement)
{
    return statement->reads && (call->flags & ML_SQLITE_WANTS_ROWS) &&
           (call->rows >= call->max_rows || ml_buffer_size(&call->output) >= ML_SQLITE_BATCH_BYTES);
}

int ml_sqlite_step(struct ml_sqlite_call *call, const struct ml_sqlite_statement *statement)
{
    int result = SQLITE_ROW;
    while (result == SQLITE_ROW && !is_full(call, statement)) {
        result = sqlite3_step(statement->handle);
        if (result == SQLITE_ROW && put_row(call, statement->handle) != 0)
            result = ML_SQLITE_NO_MEMORY;
    }
    return result;
}
