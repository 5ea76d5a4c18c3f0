#include "bindings/net/stream_object.h"

#include "base/error.h"
#include "bindings/core/lua_runtime.h"
#include "io/tls.h"

const char ml_stream_type[] = "net.stream";
const char ml_file_type[] = "fs.file";

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

struct ml_stream *ml_check_file_stream(lua_State *L, int index)
{
    struct ml_stream *s = ml_test_object(L, index, ml_file_type);
    return s != NULL ? s : ml_check_object(L, index, ml_stream_type);
}

void ml_push_stream_message(lua_State *L, const struct ml_stream *s, const char *text)
{
    if (s->name == NULL)
        lua_pushstring(L, text);
    else
        lua_pushfstring(L, "%s: %s", s->name, text);
}

int ml_push_stream_failure(lua_State *L, const struct ml_stream *s, int error)
{
    luaL_pushfail(L);
    ml_push_stream_message(L, s, ml_tls_error_text(s, error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}
