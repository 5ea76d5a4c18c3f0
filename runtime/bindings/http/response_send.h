/*
 * How the answer that a response holds goes out, and ends. Every call here may wait, and raises for
 * what cannot be sent and upon a cancellation. Knows nothing of what handlers return.
 */
#ifndef ML_BINDINGS_HTTP_RESPONSE_SEND_H
#define ML_BINDINGS_HTTP_RESPONSE_SEND_H

#include "bindings/http/types.h"
#include "http/encoder.h"

struct ml_http_headers;

/* The status that the answer has, as things stand. Never waits. */
int ml_response_status(const struct ml_lua_response *res);

/* The pairs of a headers object, NULL: none, in a userdata that is left on the stack; with places
 * for some more. Never waits. */
struct ml_http_pair *ml_response_push_pairs(lua_State *L, const struct ml_http_headers *headers,
                                            int *count);

/* Sends the head of an answer whose body is streamed, unless it is out: 0 or an error. */
int ml_response_send_head(lua_State *L, int index, struct ml_lua_response *res);

/* Sends the next bytes of such a body, coded if it is: 0 or an error. */
int ml_response_send_body(lua_State *L, int index, struct ml_lua_response *res, const char *data,
                          size_t size, enum ml_coding_mode mode);

/* Sends what the response at `index` holds, or ends what it has begun to send. */
void ml_response_finish(lua_State *L, int index);

/* If all of the answer is the string at `text`, as that of most handlers is: sends it, and raises
 * nothing. *error: 0, or one for which ml_blocking_end() raises. False: it is another answer, and
 * nothing was done. */
bool ml_response_send_plain(lua_State *L, int index, int text, int *error);

/* Fills the response at 2 with results from 3 on, and sends it; the request is at 1. */
void ml_respond(lua_State *L);

#endif
