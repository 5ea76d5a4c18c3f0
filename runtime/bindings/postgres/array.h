/* Arrays of PostgreSQL, in its text format, as Lua tables. */
#ifndef ML_BINDINGS_POSTGRES_ARRAY_H
#define ML_BINDINGS_POSTGRES_ARRAY_H

#include "bindings/postgres/reading.h"

#include <stddef.h>

/* The type of the elements of a built-in type of arrays; 0: it is none. */
Oid ml_pg_element_type(Oid type);

/* Pushes a value of that type, as ml_pg_push_value(). */
typedef void ml_pg_push(lua_State *L, const struct ml_pg_reading *how, Oid type, const char *text,
                        size_t size);

/* Pushes a table, of tables for more than one dimension, in which how->element_null stands for
 * NULL, and push() makes the other values. A text that is no array is pushed as a string. */
void ml_pg_push_array(lua_State *L, const struct ml_pg_reading *how, ml_pg_push *push, Oid element,
                      const char *text, size_t size);

#endif
