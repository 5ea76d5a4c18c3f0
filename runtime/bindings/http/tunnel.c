#include "bindings/http/tunnel.h"

#include "bindings/core/failure.h"
#include "bindings/http/request_object.h"
#include "bindings/http/response_fill.h"
#include "bindings/http/types.h"
#include "bindings/net/stream_object.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

/* Adds a field whose value is at `index`, unless that is nil. */
static void add_pair(lua_State *L, struct ml_http_answer *answer, struct ml_http_pair *pairs,
                     const char *name, int index)
{
    size_t size;
    const char *value = luaL_optlstring(L, index, NULL, &size);
    if (value != NULL)
        pairs[answer->pair_count++] =
            (struct ml_http_pair){name, value, (uint32_t)strlen(name), (uint32_t)size};
}

/*
 * tunnel(res, protocol, extensions): answers a request of HTTP/2 for a WebSocket with 200 and these
 * two fields; nil: without.
 *
 * - -> the stream of what follows, until the handler returns;
 * - -> nil, message, code. "EOPNOTSUPP": it is no such request.
 */
int ml_http_core_tunnel(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    struct ml_http_pair pairs[2];
    struct ml_http_answer answer = {.status = 200, .pairs = pairs, .length = -1};
    add_pair(L, &answer, pairs, "sec-websocket-protocol", 2);
    add_pair(L, &answer, pairs, "sec-websocket-extensions", 3);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    ml_response_check_unsent(L, res);
    struct ml_stream *s = ml_push_stream(L);
    struct ml_http_exchange *x = res->x;
    if (x == NULL) /* a finalizer has ended it */
        return ml_push_exchange_over(L);
    ml_carrier_begin(L, x);
    int error = x->carrier->tunnel != NULL ? x->carrier->tunnel(x, &answer, s) : -EOPNOTSUPP;
    error = ml_carrier_end(L, x, error);
    if (error != 0)
        return ml_push_failure(L, error);
    s->read_timeout = s->write_timeout = ML_FOREVER;
    return 1;
}
