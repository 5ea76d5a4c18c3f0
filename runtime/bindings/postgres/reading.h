/* How values of PostgreSQL are read. */
#ifndef ML_BINDINGS_POSTGRES_READING_H
#define ML_BINDINGS_POSTGRES_READING_H

#include "db/postgres/libpq.h"

#include <lua.h>

/* How values are read: indexes into the stack. */
struct ml_pg_reading {
    int null;         /* stands for NULL in a column; 0: the column is left out */
    int element_null; /* stands for NULL in an array */
    int types;        /* a table: number of a type -> function(text); 0: none */
};

#endif
