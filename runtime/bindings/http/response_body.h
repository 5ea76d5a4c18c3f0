/*
 * Bodies of answers that lie in a file: all of it, or ranges with texts between them. Knows no
 * header fields.
 */
#ifndef ML_BINDINGS_HTTP_RESPONSE_BODY_H
#define ML_BINDINGS_HTTP_RESPONSE_BODY_H

#include "bindings/http/types.h"

/* Sends the head, whose fields are `answer`, and the body of the response at `index`. May wait;
 * raises a cancellation, and for a file that is closed. */
void ml_response_send_file(lua_State *L, int index, struct ml_lua_response *res,
                           struct ml_http_answer *answer);

/* What the response at `index` holds beside memory ends: its file, what its events run. Never
 * raises, never waits. */
void ml_response_release(lua_State *L, int index);

/* Functions of moonlet.http.server.core. */
int ml_http_core_file(lua_State *L);
int ml_http_core_ranges(lua_State *L);
int ml_http_core_hold(lua_State *L);

#endif
