/*
 * Parameters of queries: Lua values as PostgreSQL takes them. A parameter has the type that the
 * same literal would have: a string's is left to the server, a small integer is an int4.
 */
#ifndef ML_BINDINGS_POSTGRES_PARAMETERS_H
#define ML_BINDINGS_POSTGRES_PARAMETERS_H

#include "db/postgres/pipeline.h"

#include <lua.h>

enum { ML_PG_FEW_PARAMETERS = 16, ML_PG_NUMBER_SIZE = 32, ML_PG_MOST_PARAMETERS = 65535 };

struct ml_pg_parameter_texts {
    char text[ML_PG_NUMBER_SIZE];
};

/* As libpq wants them. Lies in the caller's frame; with many parameters the arrays are in a
 * userdata on the Lua stack. */
struct ml_pg_parameters {
    int count;
    Oid *types;
    const char **values;
    int *lengths;
    int *formats;
    struct ml_pg_parameter_texts *numbers;
    Oid few_types[ML_PG_FEW_PARAMETERS];
    const char *few_values[ML_PG_FEW_PARAMETERS];
    int few_lengths[ML_PG_FEW_PARAMETERS];
    int few_formats[ML_PG_FEW_PARAMETERS];
    struct ml_pg_parameter_texts few_numbers[ML_PG_FEW_PARAMETERS];
};

/* core.signature(previous, ...) -> a string, one letter a value; or nil and the index of the first
 * value that is none of nil, boolean, number and string. previous: that of an earlier call, from
 * which nil takes its letter; or nil. */
int ml_pg_signature(lua_State *L);

/* The text of a command at `index`. Raises for a zero byte in it, where libpq would cut it off. */
const char *ml_pg_check_text(lua_State *L, int index);

/*
 * Reads the values from `first` on, whose letters are `signature`: those of ml_pg_signature(), and
 *
 *     y  bytes    j  a text of JSON    I L D B  texts of arrays
 *
 * They point into strings on the stack. Returns 0, or the number of the first that holds a zero
 * byte, which no text in PostgreSQL can. Raises if a value does not match its letter.
 */
int ml_pg_read_parameters(lua_State *L, int first, const char *signature, size_t count,
                          struct ml_pg_parameters *p);

#endif
