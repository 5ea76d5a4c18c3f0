/*
 * The fields of a query, or of a form with the encoding of queries. Knows nothing of requests.
 */
#ifndef ML_BINDINGS_HTTP_QUERY_H
#define ML_BINDINGS_HTTP_QUERY_H

#include "bindings/http/headers.h"

/* Pushes the decoded fields of a query (`a=1&b=%20`); a '+' becomes a space. */
struct ml_http_headers *ml_http_push_query(lua_State *L, const char *text, size_t size);

#endif
