/* Connections of HTTP/2 that many exchanges of a client share. */
#include "bindings/http/client_http2.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/time_limit.h"
#include "bindings/http/client_object.h"
#include "bindings/net/stream_object.h"
#include "http/http2_client.h"

static const char http2_type[] = "client_http2";

static struct ml_http2_client *check_http2(lua_State *L)
{
    return ml_check_object(L, 1, http2_type);
}

/* http2(stream) -> a connection that many exchanges share; or nil, message, code. */
int ml_client_new_http2(lua_State *L)
{
    struct ml_stream *stream = ml_check_stream(L, 1);
    struct ml_http2_client *c = ml_push_object(L, http2_type, sizeof *c, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, ML_CLIENT_STREAM);
    int error = ml_http2_client_open(c, stream);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

static int http2_gc(lua_State *L)
{
    struct ml_http2_client *c = check_http2(L);
    if (c->session.stream != NULL)
        ml_http2_client_release(c);
    return 0;
}

/* http2:receive(), http2:send(): the bodies of its two tasks, until its end. */
static int http2_receive(lua_State *L)
{
    struct ml_http2_client *c = check_http2(L);
    ml_blocking_begin(L);
    ml_blocking_end(L, ml_http2_client_receive(c));
    return 0;
}

static int http2_send(lua_State *L)
{
    struct ml_http2_client *c = check_http2(L);
    ml_blocking_begin(L);
    ml_http2_client_send(c);
    ml_blocking_end(L, c->session.error == -ECANCELED ? -ECANCELED : 0);
    return 0;
}

/* http2:has_room(): whether another exchange may begin now. */
static int http2_has_room(lua_State *L)
{
    lua_pushboolean(L, ml_http2_client_has_room(check_http2(L)));
    return 1;
}

/* http2:takes_websockets(): whether the server has said that it does. */
static int http2_takes_websockets(lua_State *L)
{
    lua_pushboolean(L, ml_http2_client_takes_websockets(check_http2(L)));
    return 1;
}

/* http2:await_settings(timeout) -> true, once the server has said what it can; or nil, message,
 * code. */
static int http2_await_settings(lua_State *L)
{
    struct ml_http2_client *c = check_http2(L);
    ml_time deadline = ml_check_deadline(L, 2);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_http2_client_await_settings(c, deadline));
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* http2:is_refusing(): whether the connection will never carry another exchange. */
static int http2_is_refusing(lua_State *L)
{
    const struct ml_http2_client *c = check_http2(L);
    lua_pushboolean(L, c->is_closed || c->is_refusing || c->session.is_mute);
    return 1;
}

/* http2:exchange() -> an exchange that has a place on the connection. */
static int http2_exchange(lua_State *L)
{
    struct ml_http2_client *c = check_http2(L);
    struct ml_lua_http2_exchange *e = ml_push_object(L, ml_client_exchange_type, sizeof *e, 2);
    ml_http2_request_init(&e->request, c);
    e->base.x = &e->request.x;
    e->base.is_http2 = true;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, ML_CLIENT_STREAM);
    return 1;
}

static int http2_close(lua_State *L)
{
    ml_http2_client_close(check_http2(L));
    return 0;
}

/* has_http2() -> whether the library for HTTP/2 is installed. */
int ml_client_has_http2(lua_State *L)
{
    lua_pushboolean(L, ml_nghttp2_get(&ml_lua_of(L)->io) != NULL);
    return 1;
}

void ml_open_client_http2_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"has_room", http2_has_room},
                                       {"exchange", http2_exchange},
                                       {"receive", http2_receive},
                                       {"send", http2_send},
                                       {"is_refusing", http2_is_refusing},
                                       {"takes_websockets", http2_takes_websockets},
                                       {"await_settings", http2_await_settings},
                                       {"close", http2_close},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", http2_gc}, {NULL, NULL}};
    ml_open_object_type(L, http2_type, methods, metamethods);
}
