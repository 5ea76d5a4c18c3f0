#include "bindings/http/client_object.h"

#include "base/error.h"
#include "bindings/net/stream_object.h"

#include <errno.h>

const char ml_client_exchange_type[] = "client_exchange";

struct ml_lua_client_exchange *ml_check_client_exchange(lua_State *L)
{
    return ml_check_object(L, 1, ml_client_exchange_type);
}

void ml_client_drop_decoder(struct ml_lua_client_exchange *e)
{
    if (e->decoder != NULL)
        ml_decoder_free(e->decoder);
    e->decoder = NULL;
    e->is_full = e->has_content = false;
    ml_buffer_release(&e->rest);
}

int ml_client_push_problem(lua_State *L, const struct ml_lua_client_exchange *e, int error)
{
    ml_push_stream_failure(L, e->x->stream, error);
    bool is_ours = error == -EPROTO || error == -EMSGSIZE;
    if (is_ours && e->x->problem != NULL) {
        lua_pushfstring(L, "bad response: %s", e->x->problem);
        lua_replace(L, -3);
    } else if (e->x->problem != NULL) {
        lua_pushstring(L, e->x->problem);
        lua_replace(L, -3);
    } else if (error == -ML_EEOF) {
        lua_pushliteral(L, "the connection ended before the response was whole");
        lua_replace(L, -3);
    }
    lua_pushboolean(L, e->x->has_answer);
    return 4;
}
