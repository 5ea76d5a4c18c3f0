/* Values of PostgreSQL, in its text format, as Lua values. */
#ifndef ML_BINDINGS_POSTGRES_VALUES_H
#define ML_BINDINGS_POSTGRES_VALUES_H

#include "bindings/postgres/reading.h"

/* Pushes the value of that type; text[size] is 0. Calls the script's functions; may raise. */
void ml_pg_push_value(lua_State *L, const struct ml_pg_reading *how, Oid type, const char *text,
                      size_t size);

#endif
