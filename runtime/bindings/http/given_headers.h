/*
 * Header fields as scripts give them: names, values, tables of them. Knows nothing of messages.
 */
#ifndef ML_BINDINGS_HTTP_GIVEN_HEADERS_H
#define ML_BINDINGS_HTTP_GIVEN_HEADERS_H

#include "bindings/http/headers.h"

/*
 * Pushes a new object of what a script gave as headers at `index`: such an object, or a table of
 * names with a string, a number or a list of them each; nothing or nil: without fields. Fields
 * that belong to a connection or frame a message are left out, those that a Connection field names
 * as well. Raises for anything else, and for a name or value that cannot be sent; `what` names the
 * option in the message.
 */
struct ml_http_headers *ml_http_take_headers(lua_State *L, int index, const char *what);

/* The name that a script gave at `index` for a field of `headers`; raises for what is none. */
struct ml_http_key ml_http_check_script_name(lua_State *L, const struct ml_http_headers *headers,
                                             int index);

/* The value that a script gave, on top of the stack, which becomes a string; raises for others. */
const char *ml_http_check_script_value(lua_State *L, const struct ml_http_key *name, size_t *size);

/* Adds what a script gave at `value` to the object at `index`: a string, a number, or a list. */
void ml_http_headers_add_value(lua_State *L, int index, struct ml_http_headers *headers,
                               const struct ml_http_key *name, int value);

#endif
