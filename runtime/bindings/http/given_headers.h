/*
 * Header fields that come from scripts: names, values, tables of them. Knows nothing of messages.
 */
#ifndef ML_BINDINGS_HTTP_GIVEN_HEADERS_H
#define ML_BINDINGS_HTTP_GIVEN_HEADERS_H

#include "bindings/http/headers.h"

/*
 * Pushes a new object with the headers that a script gave at `index`:
 *
 * - a headers object;
 * - a table whose keys are names, and whose values are strings, numbers or lists of those;
 * - nothing or nil: no fields.
 *
 * Leaves out fields that belong to a connection or frame a message; of an object also those that
 * its Connection field names. Raises for anything else, and for a name or value that cannot be
 * sent; `what` names the option in the message.
 */
struct ml_http_headers *ml_http_take_headers(lua_State *L, int index, const char *what);

/* The script's name at `index`, for a field of `headers`. Raises unless it is a name. */
struct ml_http_key ml_http_check_script_name(lua_State *L, const struct ml_http_headers *headers,
                                             int index);

/* The script's value on top of the stack, which becomes a string. Raises unless it is a value. */
const char *ml_http_check_script_value(lua_State *L, const struct ml_http_key *name, size_t *size);

/* Adds the script's value at index `value` to the object at `index`: a string, a number, or a
 * list. */
void ml_http_headers_add_value(lua_State *L, int index, struct ml_http_headers *headers,
                               const struct ml_http_key *name, int value);

#endif
