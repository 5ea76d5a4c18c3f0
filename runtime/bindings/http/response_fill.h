/*
 * What an answer is to be: a response before its head is out, and the results of handlers, which go
 * into it. Sends nothing and never waits.
 */
#ifndef ML_BINDINGS_HTTP_RESPONSE_FILL_H
#define ML_BINDINGS_HTTP_RESPONSE_FILL_H

#include "bindings/http/types.h"

struct ml_http_headers;

/* Raises if the head is out. */
void ml_response_check_unsent(lua_State *L, const struct ml_lua_response *res);

/* The status at `index`; raises for what is none from 200 to 599. */
int ml_response_check_status(lua_State *L, int index);

/* Pushes the header object of the response at `index`, made if there is none. */
struct ml_http_headers *ml_response_push_headers(lua_State *L, int index,
                                                 struct ml_lua_response *res);

/* The value at `body` becomes the body: a string, or a table as JSON; raises for others. */
void ml_response_set_body(lua_State *L, int index, struct ml_lua_response *res, int body);

/* Whether the value is what http.error() has made: a handler that returns it means to raise it. */
bool ml_response_is_error(lua_State *L, int index);

/*
 * What a handler returned, from `first` to the top of the stack, goes into the response at `index`.
 * Raises for what is no answer, and the message of `nil, message`.
 */
void ml_response_fill(lua_State *L, int index, int first);

#endif
