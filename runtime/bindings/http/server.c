/* The part of moonlet.http's server that is written in C: connections, and how they are served. */
#include "bindings/http/server.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/job.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/object.h"
#include "bindings/http/handling.h"
#include "bindings/http/headers_methods.h"
#include "bindings/http/helpers.h"
#include "bindings/http/limits.h"
#include "bindings/http/request.h"
#include "bindings/http/request_body.h"
#include "bindings/http/request_object.h"
#include "bindings/http/response.h"
#include "bindings/http/response_body.h"
#include "bindings/http/response_coding.h"
#include "bindings/http/routes.h"
#include "bindings/http/tunnel.h"
#include "bindings/http/types.h"
#include "bindings/net/stream_object.h"
#include "http/http2.h"
#include "io/tls.h"

#include <errno.h>

const char ml_http_server_type[] = "http.server", ml_http_connection_type[] = "http.connection";

/* ---- connections ---- */

static int connection_gc(lua_State *L)
{
    struct ml_lua_connection *c = ml_to_object(L, 1);
    if (c->http1.server != NULL)
        ml_http_connection_close(&c->http1);
    if (c->http2 != NULL)
        ml_http2_release(c->http2);
    c->http2 = NULL;
    return 0;
}

/* Pushes the server's set of open connections. Stack: server. */
static void push_open(lua_State *L, int server)
{
    lua_getiuservalue(L, server, ML_SERVER_OPEN);
}

/* The connection at ML_HANDLING_CONNECTION is served by the running task. */
static void enter(lua_State *L)
{
    push_open(L, ML_HANDLING_SERVER);
    lua_pushvalue(L, ML_HANDLING_CONNECTION);
    ml_lua_push_task(L, ml_lua_task_of(ml_lua_of(L)->hub.current));
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static int connection_close(lua_State *L)
{
    lua_settop(L, 1);
    connection_gc(L);
    lua_getiuservalue(L, 1, ML_CONNECTION_SERVER);
    push_open(L, 2);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    lua_rawset(L, 3);
    lua_pushnil(L);
    if (lua_next(L, 3) != 0)
        return 0;
    lua_getiuservalue(L, 2, ML_SERVER_IDLE);
    lua_call(L, 0, 0);
    return 0;
}

static struct ml_lua_connection *push_connection(lua_State *L, int server)
{
    struct ml_lua_connection *c =
        ml_push_object(L, ml_http_connection_type, sizeof *c, ML_CONNECTION_VALUES);
    lua_pushvalue(L, ML_HANDLING_STREAM);
    lua_setiuservalue(L, -2, ML_CONNECTION_STREAM);
    lua_pushvalue(L, server);
    lua_setiuservalue(L, -2, ML_CONNECTION_SERVER);
    return c;
}

static void serve_http1(lua_State *L, struct ml_http_connection *c)
{
    struct ml_http_exchange *x = NULL;
    int result = 0;
    while (result == 0) {
        if (x != NULL)
            ml_handle_exchange(L, c, x);
        ml_blocking_begin(L);
        result = x != NULL ? ml_http_connection_finish(c) : 0;
        if (result == 0)
            result = ml_http_connection_next(c, &x);
        ml_blocking_end(L, result);
    }
}

/* ---- HTTP/2 ---- */

/* Pushes the server's table of connections by their stream. */
static void push_streams(lua_State *L, int server)
{
    if (lua_getiuservalue(L, server, ML_SERVER_STREAMS) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, server, ML_SERVER_STREAMS);
}

/* While a server has connections of HTTP/2 it is in the registry, where their tasks come from. */
static void note_connection(lua_State *L, struct ml_lua_server *server, int change)
{
    push_streams(L, ML_HANDLING_SERVER);
    lua_pushvalue(L, ML_HANDLING_CONNECTION);
    if (change < 0)
        lua_pushnil(L), lua_replace(L, -2);
    lua_rawsetp(L, -2, ml_to_object(L, ML_HANDLING_STREAM));
    server->http2_count += change;
    lua_pushvalue(L, ML_HANDLING_SERVER);
    if (server->http2_count == 0)
        lua_pushnil(L), lua_replace(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &server->http);
    lua_pop(L, 1);
}

static __attribute__((noinline)) void serve_http2(lua_State *L, struct ml_lua_server *server,
                                                  struct ml_stream *stream)
{
    struct ml_lua_connection *c = ml_to_object(L, ML_HANDLING_CONNECTION);
    note_connection(L, server, 1);
    int result = ml_http2_open(&server->http, stream, &c->http2);
    if (result == 0) {
        ml_blocking_begin(L);
        result = ml_http2_run(c->http2);
        ml_blocking_finish(L);
    }
    note_connection(L, server, -1);
    ml_blocking_begin(L);
    ml_blocking_end(L, result);
}

/* Protected: server, exchange -> handles it. */
static int handle_http2(lua_State *L)
{
    struct ml_http_exchange *x = lua_touserdata(L, 2);
    lua_settop(L, 1);
    push_streams(L, 1);
    lua_rawgetp(L, -1, x->stream);
    lua_replace(L, 2); /* server, connection */
    lua_getiuservalue(L, 2, ML_CONNECTION_STREAM);
    lua_insert(L, 1);
    lua_insert(L, 2); /* stream, connection, server */
    ml_handling_push_functions(L);
    ml_handle_exchange(L, NULL, x);
    return 0;
}

/* Installed as the server's `handle`; context: the thread of a task that handles streams, with the
 * server at 1. What is raised there is a cancellation, of which the carrier knows. */
static int handle_exchange(void *context, struct ml_http_exchange *x)
{
    lua_State *L = context;
    int top = lua_gettop(L);
    lua_pushcfunction(L, handle_http2);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, x);
    int status = lua_pcall(L, 2, 0, 0);
    lua_settop(L, top);
    bool is_marked = ml_lua_task_is_marked(ml_lua_task_of(ml_lua_of(L)->hub.current));
    return status == LUA_OK && !is_marked ? 0 : -ECANCELED;
}

/* Such a task has server, job, argument on its stack. */
static void run_job(lua_State *L)
{
    const struct ml_http_job *job = lua_touserdata(L, 2);
    job->run(L, lua_touserdata(L, 3));
}

static void drop_job(lua_State *L)
{
    const struct ml_http_job *job = lua_touserdata(L, 2);
    job->drop(lua_touserdata(L, 3));
}

/* Protected: server, job, argument -> a task for them. The program waits for the connection's own
 * task if for any, which waits for these. */
static int spawn_job(lua_State *L)
{
    static const struct ml_lua_spawn options = {.is_daemon = true, .is_quiet = true};
    static const struct ml_lua_job kind = {run_job, drop_job};
    lua_pushcfunction(L, ml_job_body);
    lua_pushlightuserdata(L, (void *)&kind);
    lua_rotate(L, 1, 2);
    if (ml_lua_spawn(L, &options, 5) != 0)
        return luaL_error(L, "not enough memory");
    return 0;
}

/* Installed as the server's `spawn`. Called in callbacks of nghttp2's, so nothing may pass. */
static int spawn(struct ml_http_server *http, const struct ml_http_job *job, void *argument)
{
    struct ml_lua *lua = ml_container_of(http->io, struct ml_lua, io);
    lua_State *L = lua->aside;
    int top = lua_gettop(L);
    if (!lua_checkstack(L, 6))
        return -ENOMEM;
    lua_pushcfunction(L, spawn_job);
    lua_rawgetp(L, LUA_REGISTRYINDEX, http);
    lua_pushlightuserdata(L, (void *)job);
    lua_pushlightuserdata(L, argument);
    int status = lua_pcall(L, 3, 0, 0);
    lua_settop(L, top);
    return status == LUA_OK ? 0 : -ENOMEM;
}

/* ---- serving ---- */

/* Which version the peer begins with: 1: HTTP/2; 0; or an error. */
static int ask_version(const struct ml_lua_server *server, struct ml_http_connection *c)
{
    struct ml_stream *stream = c->stream;
    ml_http_connection_ask(c, true);
    int result = stream->tls != NULL ? ml_tls_handshake(stream, c->head_deadline) : 0;
    if (result == -ML_ETLS && ml_tls_got_http(stream)) {
        ml_tls_remove(stream);
        c->is_plain = true;
        result = 0;
    }
    if (result == 0 && !server->is_http1 && !c->is_plain)
        result = ml_http2_is_spoken(stream, c->head_deadline);
    ml_http_connection_ask(c, false);
    return result;
}

/* Opens a connection over the stream at 1, and asks for its version. The stack is filled for
 * exchanges, which are handled in a frame without this one. */
static __attribute__((noinline)) int open_connection(lua_State *L)
{
    struct ml_lua_server *server = ml_check_object(L, lua_upvalueindex(1), ml_http_server_type);
    struct ml_stream *stream = ml_check_stream(L, 1);
    lua_settop(L, 1);
    struct ml_http_connection *c = &push_connection(L, lua_upvalueindex(1))->http1;
    lua_toclose(L, ML_HANDLING_CONNECTION);
    lua_pushvalue(L, lua_upvalueindex(1));
    enter(L);
    ml_handling_push_functions(L);
    ml_http_connection_open(c, &server->http, stream, L);
    ml_blocking_begin(L);
    return ml_blocking_end(L, ask_version(server, c));
}

/* Serves the stream at 1 until the connection is over. Upvalue: the server. */
static int serve(lua_State *L)
{
    int version = open_connection(L);
    struct ml_lua_connection *c = ml_to_object(L, ML_HANDLING_CONNECTION);
    if (version == 0) {
        serve_http1(L, &c->http1);
    } else if (version == 1) {
        struct ml_stream *stream = c->http1.stream;
        ml_http_connection_hand_over(&c->http1);
        serve_http2(L, ml_to_object(L, ML_HANDLING_SERVER), stream);
    }
    return 0;
}

/* What it has counted is kept. */
static void forget_server(struct ml_lua_http *http, const struct ml_lua_server *server)
{
    const struct ml_http_counters *counters = &server->http.counters;
    struct ml_lua_server **place = &http->servers;
    while (*place != NULL && *place != server)
        place = &(*place)->next;
    if (*place == NULL)
        return;
    *place = server->next;
    http->connections += counters->connections;
    http->requests += counters->requests;
    http->errors += counters->errors;
    http->refused += counters->refused;
}

static int server_gc(lua_State *L)
{
    struct ml_lua_server *server = ml_to_object(L, 1);
    forget_server(&ml_lua_of(L)->http, server);
    ml_http_server_release(&server->http);
    return 0;
}

/* core.server(handler, settle, open, idle) -> server, the function that serves a stream. open:
 * connection -> the task that serves it; idle(): called when there is none any more. */
static int new_server(lua_State *L)
{
    enum { HANDLER = 1, SETTLE, OPEN, IDLE, MADE };
    lua_settop(L, IDLE);
    struct ml_lua_server *server =
        ml_push_object(L, ml_http_server_type, sizeof *server, ML_SERVER_VALUES);
    struct ml_lua *lua = ml_lua_of(L);
    ml_http_server_init(&server->http, &lua->io);
    server->next = lua->http.servers;
    lua->http.servers = server;
    server->http.handle = handle_exchange;
    server->http.spawn = spawn;
    lua_pushvalue(L, HANDLER);
    lua_setiuservalue(L, MADE, ML_SERVER_HANDLER);
    lua_pushvalue(L, SETTLE);
    lua_setiuservalue(L, MADE, ML_SERVER_SETTLE);
    lua_pushvalue(L, OPEN);
    lua_setiuservalue(L, MADE, ML_SERVER_OPEN);
    lua_pushvalue(L, IDLE);
    lua_setiuservalue(L, MADE, ML_SERVER_IDLE);
    luaL_getmetatable(L, ml_http_request_type);
    lua_setiuservalue(L, MADE, ML_SERVER_REQUESTS);
    luaL_getmetatable(L, ml_http_response_type);
    lua_setiuservalue(L, MADE, ML_SERVER_RESPONSES);
    lua_pushvalue(L, MADE);
    lua_pushcclosure(L, serve, 1);
    return 2;
}

/* ---- options ---- */

/* core.configure(server, options, client, log): the options that C code heeds. */
static int configure(lua_State *L)
{
    struct ml_lua_server *server = ml_check_object(L, 1, ml_http_server_type);
    struct ml_http_server *http = &server->http;
    struct ml_http_timeouts *t = &http->timeouts;
    lua_settop(L, 4);
    http->max_body = (uint64_t)ml_http_size_option(L, 2, "max_body", (lua_Integer)http->max_body);
    http->max_in_flight = (uint32_t)ml_http_size_option(L, 2, "max_requests", http->max_in_flight);
    http->limits.head_size =
        (uint32_t)ml_http_size_option(L, 2, "max_head", http->limits.head_size);
    http->limits.target_size =
        (uint32_t)ml_http_size_option(L, 2, "max_target", http->limits.target_size);
    t->head = ml_http_span_option(L, 2, "head_timeout", t->head);
    t->read = ml_http_span_option(L, 2, "read_timeout", t->read);
    t->write = ml_http_span_option(L, 2, "write_timeout", t->write);
    t->keep_alive = ml_http_span_option(L, 2, "keep_alive", t->keep_alive);
    t->age = ml_http_span_option(L, 2, "max_age", t->age);
    http->on_gone = ml_http_gone_option(L, 2, http->on_gone);
    server->compresses = ml_http_flag_option(L, 2, "compress", false);
    lua_getfield(L, 2, "version");
    server->is_http1 = !lua_isnil(L, -1) && lua_tonumber(L, -1) < 2;
    server->trusts = !lua_isnil(L, 3);
    server->logs = http->wants_refused = !lua_isnil(L, 4);
    lua_settop(L, 4);
    lua_setiuservalue(L, 1, ML_SERVER_LOG);
    lua_setiuservalue(L, 1, ML_SERVER_CLIENT);
    return 0;
}

/* core.raise(message, code): raises what iterators do. */
static int raise_failure(lua_State *L)
{
    lua_settop(L, 2);
    return ml_raise_failure(L);
}

static int stop(lua_State *L)
{
    struct ml_lua_server *server = ml_check_object(L, 1, ml_http_server_type);
    ml_http_server_stop(&server->http);
    return 0;
}

static int leave(lua_State *L)
{
    struct ml_lua_server *server = ml_check_object(L, 1, ml_http_server_type);
    ml_http_server_leave(&server->http);
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
    static const luaL_Reg functions[] = {{"server", new_server},
                                         {"configure", configure},
                                         {"blame", ml_http_core_blame},
                                         {"blamed", ml_http_core_blamed},
                                         {"failure_of", ml_http_core_failure_of},
                                         {"raise", raise_failure},
                                         {"stop", stop},
                                         {"leave", leave},
                                         {"stats", stats},
                                         {"fill", ml_http_core_fill},
                                         {"file", ml_http_core_file},
                                         {"ranges", ml_http_core_ranges},
                                         {"hold", ml_http_core_hold},
                                         {"request", ml_http_core_request},
                                         {"tunnel", ml_http_core_tunnel},
                                         {"date", ml_http_core_date},
                                         {"parse_date", ml_http_core_parse_date},
                                         {"negotiate", ml_http_core_negotiate},
                                         {"server_of", ml_http_core_server_of},
                                         {"headers", ml_http_core_headers},
                                         {"limit", ml_http_core_limit},
                                         {"routes", ml_http_core_routes},
                                         {"add_route", ml_http_core_add_route},
                                         {"find_route", ml_http_core_find_route},
                                         {"surround", ml_http_core_surround},
                                         {"dispatcher", ml_http_core_dispatcher},
                                         {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg of_server[] = {{"__gc", server_gc}, {NULL, NULL}};
    static const luaL_Reg of_connection[] = {
        {"__gc", connection_gc}, {"__close", connection_close}, {NULL, NULL}};
    ml_open_http_headers_type(L);
    ml_open_http_routes_type(L);
    ml_open_coded(L);
    ml_open_object_type(L, ml_http_server_type, none, of_server);
    ml_open_object_type(L, ml_http_connection_type, none, of_connection);
    luaL_newlib(L, functions);
    ml_push_request_methods(L);
    lua_setfield(L, -2, "request_methods");
    ml_push_response_methods(L);
    lua_setfield(L, -2, "response_methods");
    return 1;
}
