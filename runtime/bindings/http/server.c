/* The part of moonlet.http's server that is written in C: connections, and calls of the handler. */
#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/http/types.h"
#include "bindings/net/types.h"

#include <errno.h>

const char ml_http_server_type[] = "http.server", ml_http_connection_type[] = "http.connection";

/* Upon an error that is no cancellation: the error with a traceback, in a table. */
static int with_traceback(lua_State *L)
{
    if (ml_is_cancellation(L, 1))
        return 1;
    lua_createtable(L, 2, 0);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
    luaL_traceback(L, L, NULL, 1);
    lua_rawseti(L, 1, 2);
    return 1;
}

/* Stack: request, response, a function and its arguments: calls it, and sends what it returns. */
static int call_and_respond(lua_State *L)
{
    struct ml_lua_response *res = ml_to_object(L, 2);
    lua_call(L, lua_gettop(L) - 3, LUA_MULTRET);
    ml_respond(L, res);
    return 0;
}

/* The stack of a connection's task. */
enum { STREAM = 1, CONNECTION, HANDLER, SETTLE, TRACEBACK, REQUEST, RESPONSE };

/* Calls the function at `function` with request, response and what is above those. */
static int call(lua_State *L, int function)
{
    int more = lua_gettop(L) - RESPONSE;
    lua_pushcfunction(L, call_and_respond);
    lua_pushvalue(L, REQUEST);
    lua_pushvalue(L, RESPONSE);
    lua_pushvalue(L, function);
    lua_pushvalue(L, REQUEST);
    lua_pushvalue(L, RESPONSE);
    for (int i = 1; i <= more; i++)
        lua_pushvalue(L, RESPONSE + i);
    return lua_pcall(L, 5 + more, 0, TRACEBACK);
}

static void detach(struct ml_lua_request *req, struct ml_lua_response *res)
{
    req->x = NULL;
    res->x = NULL;
}

/* The handler has failed with what is on top: a cancellation goes on, anything else is settled. */
static void settle(lua_State *L, struct ml_lua_request *req, struct ml_lua_response *res,
                   intptr_t count)
{
    struct ml_http_exchange *x = res->x;
    if (ml_cancellation_is_raised(L, count)) {
        x->carrier->abort(x);
        detach(req, res);
        lua_error(L);
    }
    if (call(L, SETTLE) != LUA_OK && ml_cancellation_is_raised(L, count)) {
        x->carrier->abort(x);
        detach(req, res);
        lua_error(L);
    }
}

static void handle(lua_State *L, struct ml_http_exchange *x)
{
    intptr_t count = ml_cancellation_count(L);
    struct ml_lua_request *req = ml_push_request(L, x, CONNECTION);
    struct ml_lua_response *res = ml_push_response(L, x, REQUEST);
    if (call(L, HANDLER) != LUA_OK)
        settle(L, req, res, count);
    detach(req, res);
    lua_settop(L, TRACEBACK);
}

/* core.serve(server, stream): until the connection is over. */
static int serve(lua_State *L)
{
    struct ml_lua_server *server = ml_check_object(L, lua_upvalueindex(1), ml_http_server_type);
    struct ml_stream *stream = ml_check_stream(L, 1);
    struct ml_http_exchange *x;
    int result = 0;
    lua_settop(L, 1);
    struct ml_http_connection *c = ml_push_object(L, ml_http_connection_type, sizeof *c, 2);
    lua_pushvalue(L, STREAM);
    lua_setiuservalue(L, CONNECTION, ML_CONNECTION_STREAM);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setiuservalue(L, CONNECTION, ML_CONNECTION_STREAM + 1);
    lua_toclose(L, CONNECTION);
    ml_http_connection_open(c, &server->http, stream, L);
    lua_getiuservalue(L, lua_upvalueindex(1), ML_SERVER_HANDLER);
    lua_getiuservalue(L, lua_upvalueindex(1), ML_SERVER_SETTLE);
    lua_pushcfunction(L, with_traceback);
    while (result == 0) {
        ml_blocking_begin(L);
        result = ml_blocking_end(L, ml_http_connection_next(c, &x));
        if (result != 0)
            break;
        handle(L, x);
        ml_blocking_begin(L);
        result = ml_blocking_end(L, ml_http_connection_finish(c));
    }
    return 0;
}

static int connection_close(lua_State *L)
{
    struct ml_http_connection *c = ml_to_object(L, 1);
    if (c->server != NULL)
        ml_http_connection_close(c);
    return 0;
}

static int server_gc(lua_State *L)
{
    ml_http_server_release(ml_to_object(L, 1));
    return 0;
}

/* core.server(handler, settle) -> server, the function that serves a stream. */
static int new_server(lua_State *L)
{
    lua_settop(L, 2);
    struct ml_lua_server *server =
        ml_push_object(L, ml_http_server_type, sizeof *server, ML_SERVER_VALUES);
    ml_http_server_init(&server->http, &ml_lua_of(L)->io);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 3, ML_SERVER_HANDLER);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 3, ML_SERVER_SETTLE);
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, serve, 1);
    return 2;
}

static int stop(lua_State *L)
{
    struct ml_lua_server *server = ml_check_object(L, 1, ml_http_server_type);
    ml_http_server_stop(&server->http);
    return 0;
}

static int stats(lua_State *L)
{
    const struct ml_lua_server *server = ml_check_object(L, 1, ml_http_server_type);
    const struct ml_http_counters *counters = &server->http.counters;
    lua_createtable(L, 0, 6);
#define SET(name) (lua_pushinteger(L, (lua_Integer)counters->name), lua_setfield(L, -2, #name))
    SET(connections), SET(requests), SET(errors), SET(refused), SET(open), SET(in_flight);
#undef SET
    return 1;
}

int ml_open_http_server(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"server", new_server}, {"stop", stop}, {"stats", stats}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg of_server[] = {{"__gc", server_gc}, {NULL, NULL}};
    static const luaL_Reg of_connection[] = {
        {"__gc", connection_close}, {"__close", connection_close}, {NULL, NULL}};
    ml_open_object_type(L, ml_http_server_type, none, of_server);
    ml_open_object_type(L, ml_http_connection_type, none, of_connection);
    luaL_newlib(L, functions);
    ml_push_request_methods(L);
    lua_setfield(L, -2, "request_methods");
    ml_push_response_methods(L);
    lua_setfield(L, -2, "response_methods");
    return 1;
}
