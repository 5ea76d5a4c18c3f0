#include "bindings/net/stream_object.h"

#include "base/error.h"
#include "bindings/core/lua_runtime.h"
#include "io/tls.h"

const char ml_stream_type[] = "net.stream";

struct ml_stream *ml_push_stream(lua_State *L)
{
    struct ml_stream *s = ml_push_object(L, ml_stream_type, sizeof *s, 1);
    ml_stream_init(s, &ml_lua_of(L)->io);
    ml_object_note_source_line(L, s);
    return s;
}

void ml_stream_keep_host(lua_State *L, const char *host)
{
    lua_pushstring(L, host);
    lua_setiuservalue(L, -2, 1);
}

int ml_push_stream_failure(lua_State *L, const struct ml_stream *s, int error)
{
    luaL_pushfail(L);
    lua_pushstring(L, ml_tls_error_text(s, error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}
