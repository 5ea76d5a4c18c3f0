/* The object behind a request: its fields by number, and those that were made, which stay. */
#ifndef ML_BINDINGS_HTTP_REQUEST_OBJECT_H
#define ML_BINDINGS_HTTP_REQUEST_OBJECT_H

#include "bindings/http/types.h"

/* The fields, in the order of their bits. */
enum ml_request_field {
    ML_REQUEST_METHOD,
    ML_REQUEST_TARGET,
    ML_REQUEST_PATH,
    ML_REQUEST_QUERY,
    ML_REQUEST_VERSION,
    ML_REQUEST_SCHEME,
    ML_REQUEST_HOST,
    ML_REQUEST_PEER,
    ML_REQUEST_CLIENT,
    ML_REQUEST_ROUTE_FIELD,
    ML_REQUEST_TLS,
    ML_REQUEST_PARAMS,
    ML_REQUEST_HEADERS,
    ML_REQUEST_LOCALS,
    ML_REQUEST_FIELDS,
    ML_REQUEST_BODY = ML_REQUEST_FIELDS, /* kept behind the fields: the whole body, */
    ML_REQUEST_BLAMED /* of what is wrong with it: code -> status, message -> code */
};

/* Pushes a request; connection, server: where those are on the stack. */
struct ml_lua_request *ml_push_request(lua_State *L, struct ml_http_exchange *x, int connection,
                                       int server);

/* Pushes nil, message, code of an exchange that is over: returns 3. */
int ml_push_exchange_over(lua_State *L);

/* The same in a call that may wait: a task that goes on calling lets others run. */
int ml_fail_exchange_over(lua_State *L);

/* Keeps the value on top of the stack under the field's number, for the request at 1; it stays on
 * the stack. */
void ml_request_keep(lua_State *L, struct ml_lua_request *req, int number);

/* Pushes it again. */
void ml_request_push_kept(lua_State *L, int number);

#endif
