/*** @submodule moonlet.net */
/* The TLS side of streams: starttls, handshake; tls_info is in bindings/net/tls_info.c. */
#include "bindings/net/tls_stream.h"

#include "bindings/core/time_limit.h"
#include "bindings/net/stream_object.h"
#include "bindings/net/tls.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "io/stream.h"
#include "io/stream_state.h"
#include "io/tls.h"

#include <errno.h>
#include <string.h>

static int push_handshake(lua_State *L, const struct ml_stream *s, int error)
{
    if (error == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    luaL_pushfail(L);
    lua_pushstring(L, ml_tls_error_text(s, error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

/***
Makes the handshake now instead of at the first use. May wait.
@function stream:handshake
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, message, code ("ETLS": the certificate was refused, for example;
"EOPNOTSUPP": no TLS)
*/
int ml_net_stream_handshake(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    ml_time deadline = ml_check_deadline(L, 2);
    if (ml_stream_is_open(s) && s->tls == NULL)
        return push_handshake(L, s, -ENOTSUP);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_tls_handshake(s, deadline));
    return push_handshake(L, s, error);
}

/* Whether the caller is the server: by the option `role`, otherwise as the connection was made. */
static bool is_server_side(lua_State *L, const struct ml_stream *s, int options)
{
    if (!lua_istable(L, options) || lua_getfield(L, options, "role") == LUA_TNIL)
        return s->is_accepted;
    const char *role = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool is_server = strcmp(role, "server") == 0;
    luaL_argcheck(L, is_server || strcmp(role, "client") == 0, options,
                  "TLS option 'role' must be \"client\" or \"server\"");
    return is_server;
}

/* Whether TLS can begin on the stream: 0, or the reason why not. */
static int may_start(const struct ml_stream *s)
{
    if (!ml_stream_is_open(s))
        return -ML_ECLOSED;
    if (s->is_reading || s->writer != NULL)
        return -EBUSY;
    if (s->tls != NULL)
        return -EISCONN;
    int error = ml_stream_may_write(s);
    if (error != 0)
        return error;
    /* RFC 3207, section 6: input in plain text must not be taken for input after the handshake. */
    return ml_stream_has_input(s) ? -EPROTO : 0;
}

/***
Begins TLS on a plain connection and makes the handshake. May wait.
@function stream:starttls
@tparam[opt=true] boolean|table|Context opts a context; true; the options of net.tls; or `{context =
ctx}`, with server_name or without. Both tables take role: "client" or "server" (by default the side
that accepted the connection is the server)
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, message, code; "EPROTO": input that came before is still unread
*/
int ml_net_stream_starttls(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    ml_time deadline = ml_check_deadline(L, 3);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_pushboolean(L, 1);
        lua_replace(L, 2);
    }
    bool is_server = is_server_side(L, s, 2);
    if (!ml_push_tls_context(L, 2, 2, is_server))
        return 3;
    int context = lua_gettop(L) - 1;
    luaL_argcheck(L, !lua_isnil(L, context), 2, "true, a table or a context expected");
    struct ml_tls_config *config = ml_tls_context_config(L, context);
    lua_getiuservalue(L, 1, 1);
    const char *name = NULL;
    bool has_name = is_server || ml_tls_server_name(L, context, lua_tostring(L, -1), &name);
    luaL_argcheck(L, has_name, 2, ml_tls_needs_name);
    int error = may_start(s);
    if (error != 0)
        return push_handshake(L, s, error);
    ml_blocking_begin(L);
    error = ml_tls_open(s, config, is_server, name);
    if (error == 0)
        error = ml_tls_handshake(s, deadline);
    error = ml_blocking_end(L, error);
    return push_handshake(L, s, error);
}
