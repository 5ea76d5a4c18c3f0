#include "db/sqlite/parameters.h"

#include "db/sqlite/library.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* keeps: the call's buffer may be used again before the statement ends, so SQLite copies. */
static int bind_cell(sqlite3_stmt *handle, int at, const struct ml_cell *cell, bool keeps)
{
    int size = (int)cell->size;
    sqlite3_destructor_type life = keeps ? SQLITE_TRANSIENT : SQLITE_STATIC;
    switch (cell->type) {
    case ML_CELL_NULL:
        return sqlite3_bind_null(handle, at);
    case ML_CELL_INTEGER:
        return sqlite3_bind_int64(handle, at, cell->value.integer);
    case ML_CELL_FLOAT:
        return sqlite3_bind_double(handle, at, cell->value.number);
    case ML_CELL_TEXT:
        return sqlite3_bind_text(handle, at, ml_cell_bytes(cell), size, life);
    default:
        return sqlite3_bind_blob(handle, at, ml_cell_bytes(cell), size, life);
    }
}

static const struct ml_cell *first_parameter(const struct ml_sqlite_call *call)
{
    return (const struct ml_cell *)ml_buffer_data(&call->input);
}

/* The value of a parameter of that name, without its ':', '@' or '$'; NULL: there is none. */
static const struct ml_cell *find_named(const struct ml_sqlite_call *call, const char *name)
{
    const struct ml_cell *cell = first_parameter(call), *found = NULL;
    size_t size = name != NULL ? strlen(name) : 0;
    for (unsigned i = 0; found == NULL && size > 1 && i < call->parameters; i++) {
        const struct ml_cell *value = ml_cell_next(cell);
        if (cell->size == size - 1 && memcmp(ml_cell_bytes(cell), name + 1, size - 1) == 0)
            found = value;
        cell = ml_cell_next(value);
    }
    return found;
}

/* Notes which parameter is missing. */
static int refuse_missing(struct ml_sqlite_call *call, const char *name, int at)
{
    if (name != NULL)
        snprintf(call->message, sizeof call->message, "parameter %s has no value", name);
    else
        snprintf(call->message, sizeof call->message, "parameter %d has no name", at);
    return ML_SQLITE_UNNAMED;
}

static bool keeps(const struct ml_sqlite_call *call)
{
    return (call->flags & ML_SQLITE_WANTS_ROWS) && !(call->flags & ML_SQLITE_SINGLE);
}

static int bind_named(struct ml_sqlite_call *call, sqlite3_stmt *handle, int count)
{
    int result = SQLITE_OK;
    for (int i = 1; result == SQLITE_OK && i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(handle, i);
        const struct ml_cell *cell = find_named(call, name);
        result =
            cell != NULL ? bind_cell(handle, i, cell, keeps(call)) : refuse_missing(call, name, i);
    }
    if (result == SQLITE_OK && call->parameters > (unsigned)count) {
        snprintf(call->message, sizeof call->message, "%u values for %d named parameters",
                 call->parameters, count);
        result = ML_SQLITE_UNNAMED;
    }
    return result;
}

int ml_sqlite_bind(struct ml_sqlite_call *call, sqlite3_stmt *handle)
{
    int count = sqlite3_bind_parameter_count(handle), result = SQLITE_OK;
    if (call->flags & ML_SQLITE_NAMED)
        return bind_named(call, handle, count);
    if (call->parameters != (unsigned)count) {
        snprintf(call->message, sizeof call->message, "the statement has %d parameter%s, got %u",
                 count, count == 1 ? "" : "s", call->parameters);
        return ML_SQLITE_PARAMETERS;
    }
    const struct ml_cell *cell = first_parameter(call);
    for (int i = 1; result == SQLITE_OK && i <= count; i++, cell = ml_cell_next(cell))
        result = bind_cell(handle, i, cell, keeps(call));
    return result;
}
