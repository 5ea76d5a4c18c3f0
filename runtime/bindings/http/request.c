/*** @submodule moonlet.http */
/* Requests as handlers see them: fields made on demand. */
#include "bindings/http/request.h"

#include "base/error.h"
#include "bindings/http/headers.h"
#include "bindings/http/query.h"
#include "bindings/http/request_body.h"
#include "bindings/http/request_object.h"
#include "bindings/http/types.h"
#include "bindings/net/address.h"
#include "bindings/net/tls_info.h"
#include "bindings/sync/select_source.h"
#include "io/socket.h"

#include <errno.h>
#include <string.h>

static const char *const field_names[ML_REQUEST_FIELDS] = {
    "method", "target", "path",  "query", "version", "scheme",  "host",
    "peer",   "client", "route", "tls",   "params",  "headers", "locals"};

/* ---- fields ---- */

static void push_slice(lua_State *L, const struct ml_http_head *head, struct ml_http_slice slice)
{
    lua_pushlstring(L, ml_http_at(head, slice), slice.size);
}

static void push_version(lua_State *L, const struct ml_http_exchange *x)
{
    lua_pushstring(L, x->version == 10 ? "1.0" : x->version == 11 ? "1.1" : "2");
}

/* The path of a target that has none: "/", but "*" of OPTIONS, and a host and port of CONNECT. */
static void push_path(lua_State *L, const struct ml_http_head *head)
{
    bool is_path =
        head->target_form == ML_HTTP_TARGET_ORIGIN || head->target_form == ML_HTTP_TARGET_ABSOLUTE;
    if (!is_path)
        push_slice(L, head, head->target);
    else if (head->path.size == 0)
        lua_pushliteral(L, "/");
    else
        push_slice(L, head, head->path);
}

static struct ml_stream *push_stream(lua_State *L)
{
    lua_getiuservalue(L, 1, ML_REQUEST_CONNECTION);
    lua_getiuservalue(L, -1, ML_CONNECTION_STREAM);
    lua_remove(L, -2);
    return ml_to_object(L, -1);
}

/* nil: the connection is one in memory. */
static void push_peer(lua_State *L, const struct ml_http_exchange *x)
{
    struct ml_address address;
    if (ml_socket_peer(x->stream, &address) == 0)
        ml_push_address(L, &address);
    else
        lua_pushnil(L);
}

static void push_tls(lua_State *L, const struct ml_http_exchange *x)
{
    if (x->stream->tls == NULL) {
        lua_pushnil(L);
        return;
    }
    lua_pushcfunction(L, ml_net_stream_tls_info);
    push_stream(L);
    lua_call(L, 1, 1);
}

static void push_route(lua_State *L)
{
    if (lua_getiuservalue(L, 1, ML_REQUEST_ROUTE) == LUA_TTABLE) {
        lua_rawgeti(L, -1, 2);
        lua_remove(L, -2);
    }
}

void ml_request_push_route(lua_State *L, int request)
{
    const struct ml_lua_request *req = ml_to_object(L, request);
    if ((req->kept & 1u << ML_REQUEST_ROUTE_FIELD) != 0) {
        lua_getiuservalue(L, request, ML_REQUEST_KEPT);
        lua_rawgeti(L, -1, ML_REQUEST_ROUTE_FIELD + 1);
        lua_remove(L, -2);
    } else if (lua_getiuservalue(L, request, ML_REQUEST_ROUTE) == LUA_TTABLE) {
        lua_rawgeti(L, -1, 2);
        lua_remove(L, -2);
    }
}

bool ml_request_path(const struct ml_lua_request *req, struct ml_http_slice *path)
{
    if (req->x == NULL || (req->kept & 1u << ML_REQUEST_PATH))
        return false;
    *path = req->x->head.path;
    return path->size > 0;
}

void ml_request_set_route(lua_State *L, int route)
{
    lua_pushvalue(L, route);
    lua_setiuservalue(L, 1, ML_REQUEST_ROUTE);
}

void ml_request_set_params(lua_State *L)
{
    ml_request_keep(L, ml_to_object(L, 1), ML_REQUEST_PARAMS);
    lua_pop(L, 1);
}

static void push_field(lua_State *L, const struct ml_http_exchange *x, enum ml_request_field field)
{
    const struct ml_http_head *head = &x->head;
    switch (field) {
    case ML_REQUEST_METHOD:
        push_slice(L, head, head->method);
        break;
    case ML_REQUEST_TARGET:
        push_slice(L, head, head->target);
        break;
    case ML_REQUEST_PATH:
        push_path(L, head);
        break;
    case ML_REQUEST_QUERY:
        ml_http_push_query(L, ml_http_at(head, head->query), head->query.size);
        break;
    case ML_REQUEST_VERSION:
        push_version(L, x);
        break;
    case ML_REQUEST_SCHEME:
        lua_pushstring(L, x->scheme);
        break;
    case ML_REQUEST_HOST:
        push_slice(L, head, head->authority);
        break;
    case ML_REQUEST_PEER:
        push_peer(L, x);
        break;
    case ML_REQUEST_TLS:
        push_tls(L, x);
        break;
    case ML_REQUEST_HEADERS:
        ml_http_push_headers(L, head);
        break;
    case ML_REQUEST_ROUTE_FIELD:
        push_route(L);
        break;
    case ML_REQUEST_PARAMS:
    case ML_REQUEST_LOCALS:
        lua_newtable(L);
        break;
    default:
        lua_pushnil(L);
    }
}

static bool is_kept_once_made(enum ml_request_field field)
{
    return field == ML_REQUEST_QUERY || field >= ML_REQUEST_PEER;
}

/* Client, scheme and host as proxies tell them, if the server trusts some. */
static void ask_proxies(lua_State *L, struct ml_lua_request *req)
{
    static const enum ml_request_field told[] = {ML_REQUEST_CLIENT, ML_REQUEST_SCHEME,
                                                 ML_REQUEST_HOST};
    const struct ml_http_exchange *x = req->x;
    const struct ml_lua_server *server = ml_container_of(x->server, struct ml_lua_server, http);
    push_peer(L, x);
    lua_pushstring(L, x->scheme);
    push_slice(L, &x->head, x->head.authority);
    if (server->trusts) {
        lua_getiuservalue(L, 1, ML_REQUEST_CONNECTION);
        lua_getiuservalue(L, -1, ML_CONNECTION_STREAM + 1);
        lua_getiuservalue(L, -1, ML_SERVER_CLIENT);
        lua_insert(L, -6);
        lua_pop(L, 2);
        ml_http_push_headers(L, &x->head);
        lua_call(L, 4, 3);
    }
    for (int i = 2; i >= 0; i--) {
        ml_request_keep(L, req, told[i]);
        lua_pop(L, 1);
    }
}

static int index_field(lua_State *L, struct ml_lua_request *req, enum ml_request_field field)
{
    bool is_asked =
        field == ML_REQUEST_CLIENT || field == ML_REQUEST_SCHEME || field == ML_REQUEST_HOST;
    if (is_asked && !(req->kept & 1u << field) && req->x != NULL)
        ask_proxies(L, req);
    if (req->kept & 1u << field) {
        ml_request_push_kept(L, field);
        return 1;
    }
    if (req->x == NULL)
        return luaL_error(L, "the request is over (its field '%s')", field_names[field]);
    push_field(L, req->x, field);
    if (is_kept_once_made(field))
        ml_request_keep(L, req, field);
    return 1;
}

/* Upvalue: a table that has for each name a method, or the number of a field. */
static int request_index(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (lua_type(L, -1) != LUA_TNUMBER)
        return 1;
    enum ml_request_field field = (enum ml_request_field)lua_tointeger(L, -1);
    lua_settop(L, 1);
    return index_field(L, req, field);
}

/* Routers fill in some. */
static int request_newindex(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    bool is_field = lua_type(L, -1) == LUA_TNUMBER;
    enum ml_request_field field =
        is_field ? (enum ml_request_field)lua_tointeger(L, -1) : ML_REQUEST_FIELDS;
    if (field != ML_REQUEST_PARAMS && field != ML_REQUEST_ROUTE_FIELD && field != ML_REQUEST_PATH &&
        field != ML_REQUEST_LOCALS)
        return luaL_error(L, "a request has no field '%s' to be set; use req.locals",
                          luaL_tolstring(L, 2, NULL));
    lua_settop(L, 3);
    ml_request_keep(L, req, field);
    return 0;
}

/***
A request, in its handler; after that it is closed. The fields are made when they are asked for.
@object Request
@tfield string method
@tfield string target as it was sent
@tfield string path never decoded
@tfield Headers query the decoded fields of the query; names keep their case
@tfield string version "1.0", "1.1" or "2"
@tfield string scheme "http" or "https"
@tfield string host
@tfield ?Address peer who connected; nil in memory
@tfield ?Address client who that is by trusted proxies
@tfield ?string route the pattern of the route; nil without a router
@tfield ?table tls as stream:tls_info(); nil without TLS
@tfield table params of the route, decoded
@tfield Headers headers
@tfield table locals for the handler and what runs around it
*/

/* ---- the peer, also in select ---- */

static bool has_gone(const struct ml_lua_request *req)
{
    return req->x == NULL || req->x->carrier->gone(req->x);
}

static int attempt_gone(lua_State *L, int index)
{
    return has_gone(ml_to_object(L, index)) ? 0 : -EAGAIN;
}

static int watch_peer(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                      ml_time *again)
{
    const struct ml_lua_request *req = object;
    (void)lua, (void)is_short;
    return req->x != NULL ? req->x->carrier->watch(req->x, waiter, again) : -ML_ECLOSED;
}

static void unwatch_peer(void *object)
{
    const struct ml_lua_request *req = object;
    if (req->x != NULL)
        req->x->carrier->unwatch(req->x);
}

static const struct ml_select_source select_source = {.type = ml_http_request_type,
                                                      .attempt = attempt_gone,
                                                      .watch = watch_peer,
                                                      .unwatch = unwatch_peer};

/***
Whether the peer has left: it has closed the connection, or its direction of it. Never waits;
{req, "gone"} in channel.select does.
@function Request:gone
@treturn boolean
*/
static int request_gone(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    lua_pushboolean(L, has_gone(req));
    return 1;
}

/* core.server_of(req) -> the server, as core.server() has given it. */
int ml_http_core_server_of(lua_State *L)
{
    ml_check_request(L, 1);
    lua_getiuservalue(L, 1, ML_REQUEST_CONNECTION);
    lua_getiuservalue(L, -1, ML_CONNECTION_SERVER);
    return 1;
}

/* core.headers(req) -> its headers; unlike req.headers they are not kept, unless they were asked
 * for before: for a request that goes on as a WebSocket. */
int ml_http_core_headers(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    if (req->x == NULL || (req->kept & 1u << ML_REQUEST_HEADERS))
        return index_field(L, req, ML_REQUEST_HEADERS);
    ml_http_push_headers(L, &req->x->head);
    return 1;
}

static int request_tostring(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    if (req->x == NULL) {
        lua_pushliteral(L, "http.request (over)");
        return 1;
    }
    const struct ml_http_head *head = &req->x->head;
    lua_pushliteral(L, "http.request ");
    push_slice(L, head, head->method);
    lua_pushliteral(L, " ");
    push_slice(L, head, head->target);
    lua_concat(L, 4);
    return 1;
}

void ml_push_request_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {{"body", ml_http_request_body},
                                       {"read_some", ml_http_request_read_some},
                                       {"gone", request_gone},
                                       {"trailers", ml_http_request_trailers},
                                       {NULL, NULL}};
    ml_lua_of(L)->select.sources[ML_SELECT_GONE] = &select_source;
    luaL_newmetatable(L, ml_http_request_type);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    for (int i = 0; i < ML_REQUEST_FIELDS; i++) {
        lua_pushinteger(L, i);
        lua_setfield(L, -2, field_names[i]);
    }
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, request_index, 1);
    lua_setfield(L, -3, "__index");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, request_newindex, 1);
    lua_setfield(L, -3, "__newindex");
    lua_pushcfunction(L, request_tostring);
    lua_setfield(L, -3, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -3, "__metatable");
    lua_remove(L, -2);
}
