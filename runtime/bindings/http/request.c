/*** @submodule moonlet.http */
/* Requests as handlers see them: fields made on demand, the body. */
#include "bindings/http/request.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/http/headers.h"
#include "bindings/http/query.h"
#include "bindings/http/types.h"
#include "bindings/net/address.h"
#include "bindings/net/tls.h"
#include "bindings/net/tls_info.h"
#include "bindings/sync/select.h"
#include "io/address.h"

#include <errno.h>
#include <string.h>

const char ml_http_request_type[] = "http.request";

/* The fields, in the order of their bits. */
enum field {
    METHOD,
    TARGET,
    PATH,
    QUERY,
    VERSION,
    SCHEME,
    HOST,
    PEER,
    CLIENT,
    ROUTE,
    TLS,
    PARAMS,
    HEADERS,
    LOCALS,
    FIELDS
};

static const char *const field_names[FIELDS] = {"method", "target", "path",    "query",  "version",
                                                "scheme", "host",   "peer",    "client", "route",
                                                "tls",    "params", "headers", "locals"};

struct ml_lua_request *ml_push_request(lua_State *L, struct ml_http_exchange *x, int connection)
{
    struct ml_lua_request *req =
        ml_push_object(L, ml_http_request_type, sizeof *req, ML_REQUEST_VALUES);
    req->x = x;
    lua_pushvalue(L, connection);
    lua_setiuservalue(L, -2, ML_REQUEST_CONNECTION);
    return req;
}

int ml_push_exchange_over(lua_State *L)
{
    luaL_pushfail(L);
    lua_pushliteral(L, "the request is over");
    lua_pushstring(L, ml_error_name(ML_ECLOSED));
    return 3;
}

/* ---- what was made stays ---- */

/* Keeps the value on top of the stack under the field's number; it stays there. */
static void keep(lua_State *L, struct ml_lua_request *req, int number)
{
    if (lua_getiuservalue(L, 1, ML_REQUEST_KEPT) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 4, 0);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, ML_REQUEST_KEPT);
    }
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, number + 1);
    lua_pop(L, 1);
    req->kept |= 1u << number;
}

static void push_kept(lua_State *L, int number)
{
    lua_getiuservalue(L, 1, ML_REQUEST_KEPT);
    lua_rawgeti(L, -1, number + 1);
    lua_remove(L, -2);
}

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

/* Whom the kernel names; nil in the Unix domain without a name, and in memory. */
static void push_peer(lua_State *L, const struct ml_http_exchange *x)
{
    struct ml_address address;
    const struct ml_stream *s = x->stream;
    if (ml_fd_is_open(&s->fd) && ml_address_of_peer(&address, s->fd.number) == 0)
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

bool ml_request_path(const struct ml_lua_request *req, struct ml_http_slice *path)
{
    if (req->x == NULL || (req->kept & 1u << PATH))
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
    keep(L, ml_to_object(L, 1), PARAMS);
    lua_pop(L, 1);
}

static void push_field(lua_State *L, const struct ml_http_exchange *x, enum field field)
{
    const struct ml_http_head *head = &x->head;
    switch (field) {
    case METHOD:
        push_slice(L, head, head->method);
        break;
    case TARGET:
        push_slice(L, head, head->target);
        break;
    case PATH:
        push_path(L, head);
        break;
    case QUERY:
        ml_http_push_query(L, ml_http_at(head, head->query), head->query.size);
        break;
    case VERSION:
        push_version(L, x);
        break;
    case SCHEME:
        lua_pushstring(L, x->scheme);
        break;
    case HOST:
        push_slice(L, head, head->authority);
        break;
    case PEER:
        push_peer(L, x);
        break;
    case TLS:
        push_tls(L, x);
        break;
    case HEADERS:
        ml_http_push_headers(L, head);
        break;
    case ROUTE:
        push_route(L);
        break;
    case PARAMS:
    case LOCALS:
        lua_newtable(L);
        break;
    default:
        lua_pushnil(L);
    }
}

static bool is_kept_once_made(enum field field)
{
    return field == QUERY || field >= PEER;
}

/* Client, scheme and host as proxies tell them, if the server trusts some. */
static void ask_proxies(lua_State *L, struct ml_lua_request *req)
{
    static const enum field told[] = {CLIENT, SCHEME, HOST};
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
        keep(L, req, told[i]);
        lua_pop(L, 1);
    }
}

static int index_field(lua_State *L, struct ml_lua_request *req, enum field field)
{
    bool is_asked = field == CLIENT || field == SCHEME || field == HOST;
    if (is_asked && !(req->kept & 1u << field) && req->x != NULL)
        ask_proxies(L, req);
    if (req->kept & 1u << field) {
        push_kept(L, field);
        return 1;
    }
    if (req->x == NULL)
        return luaL_error(L, "the request is over (its field '%s')", field_names[field]);
    push_field(L, req->x, field);
    if (is_kept_once_made(field))
        keep(L, req, field);
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
    enum field field = (enum field)lua_tointeger(L, -1);
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
    enum field field = is_field ? (enum field)lua_tointeger(L, -1) : FIELDS;
    if (field != PARAMS && field != ROUTE && field != PATH && field != LOCALS)
        return luaL_error(L, "a request has no field '%s' to be set; use req.locals",
                          luaL_tolstring(L, 2, NULL));
    lua_settop(L, 3);
    keep(L, req, field);
    return 0;
}

/* ---- the body ---- */

static int push_body_failure(lua_State *L, struct ml_http_exchange *x, int error)
{
    static const char *const texts[] = {"the body is larger than allowed",
                                        "the body did not come in time",
                                        "the peer left in the middle of the body"};
    const char *text = error == -EMSGSIZE    ? texts[0]
                       : error == -ETIMEDOUT ? texts[1]
                       : error == -ML_EEOF   ? texts[2]
                       : error == -EPROTO    ? ml_http_error_text(x->syntax_error)
                       : error == -EBUSY     ? "another task is reading this body"
                                             : ml_error_text(error);
    luaL_pushfail(L);
    lua_pushstring(L, text);
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

static size_t opt_size(lua_State *L, int index, size_t otherwise)
{
    if (lua_isnoneornil(L, index))
        return otherwise;
    lua_Integer size = luaL_checkinteger(L, index);
    luaL_argcheck(L, size > 0, index, "size must be positive");
    return (size_t)size;
}

/* The next piece as a string: 1; or its failure: 3; at the end nil: 1. */
static int push_chunk(lua_State *L, struct ml_lua_request *req, size_t max)
{
    struct ml_piece_of_input piece;
    struct ml_http_exchange *x = req->x;
    ml_carrier_begin(L, x);
    int result = ml_carrier_end(L, x, x->carrier->read_body(x, max, &piece));
    if (result < 0)
        return push_body_failure(L, x, result);
    if (result == 1) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, piece.data, piece.size);
    if (req->x != NULL)
        x->carrier->consume(x, &piece);
    return 1;
}

/* Reads all into one string at the top: true; false: its failure is pushed. */
static bool read_whole(lua_State *L, struct ml_lua_request *req)
{
    luaL_Buffer whole;
    int pieces = 0;
    luaL_checkstack(L, 16, NULL);
    lua_createtable(L, 4, 0);
    int list = lua_gettop(L);
    for (;;) {
        if (push_chunk(L, req, SIZE_MAX) != 1)
            return false;
        if (lua_isnil(L, -1))
            break;
        if (req->x == NULL)
            return ml_push_exchange_over(L), false;
        lua_rawseti(L, list, ++pieces);
    }
    if (pieces == 1) {
        lua_rawgeti(L, list, 1);
        return true;
    }
    luaL_buffinit(L, &whole);
    for (int i = 1; i <= pieces; i++) {
        lua_rawgeti(L, list, i);
        luaL_addvalue(&whole);
    }
    luaL_pushresult(&whole);
    return true;
}

/* The numbers under which the body, and the code of what is wrong with it, are kept, behind the
 * fields. */
enum { BODY = FIELDS, BLAMED };

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

/***
The whole body, which stays: it may be asked for again, as json() or form(). May wait.
@function Request:body
@tparam[opt] integer max bytes at most, in place of the route's limit
@treturn string "" without one; or nil, message, code: "EMSGSIZE" (answered 413 if the handler
returns it), "EPROTO" (400), "ETIMEDOUT" (408), "EEOF"
*/
static int request_body(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    size_t max = opt_size(L, 2, 0);
    if (req->use == ML_BODY_STREAMED)
        return luaL_error(L, "the body is being read piece by piece");
    lua_settop(L, 1);
    if (req->kept & 1u << BODY) {
        push_kept(L, BODY);
        return 1;
    }
    if (req->x == NULL)
        return ml_push_exchange_over(L);
    if (max > 0)
        req->x->max_body = max;
    req->use = ML_BODY_KEPT;
    if (!read_whole(L, req))
        return 3;
    keep(L, req, BODY);
    return 1;
}

/* Marks the body as streamed; false: its failure, 3 values, is pushed. */
static bool begin_streaming(lua_State *L, struct ml_lua_request *req)
{
    if (req->use == ML_BODY_KEPT)
        luaL_error(L, "the body was read as a whole");
    if (req->x == NULL) {
        ml_push_exchange_over(L);
        return false;
    }
    req->use = ML_BODY_STREAMED;
    return true;
}

/* (max) -> the next bytes of the body; nil at the end; or nil, message, code. stdlib has it. */
static int request_read_some(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    size_t max = opt_size(L, 2, SIZE_MAX);
    return begin_streaming(L, req) ? push_chunk(L, req, max) : 3;
}

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

/***
The fields after the body, once that was read to its end. Never waits.
@function Request:trailers
@treturn Headers or nil, message, code
*/
static int request_trailers(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    if (req->x == NULL)
        return ml_push_exchange_over(L);
    if (!req->x->is_body_read)
        return luaL_error(L, "the body has not been read to its end");
    const struct ml_http_head *trailers = req->x->carrier->trailers(req->x);
    if (trailers != NULL)
        ml_http_push_headers(L, trailers);
    else
        ml_http_push_new_headers(L, 0, 0);
    return 1;
}

/* core.blame(req, code, status): its body was read and is wrong: a handler that returns, or lets
 * through, a failure with that code answers the status. */
int ml_http_core_blame(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    luaL_checkstring(L, 2);
    int status = (int)luaL_checkinteger(L, 3);
    lua_settop(L, 2);
    keep(L, req, BLAMED);
    req->blamed = status;
    return 0;
}

int ml_request_body_status(lua_State *L, int request, int code)
{
    const struct ml_lua_request *req = ml_to_object(L, request);
    int status = req->x != NULL ? ml_http_exchange_body_status(req->x) : 0;
    if (status != 0 || req->blamed == 0)
        return status;
    lua_getiuservalue(L, request, ML_REQUEST_KEPT);
    lua_rawgeti(L, -1, BLAMED + 1);
    bool is_it = lua_type(L, code) != LUA_TSTRING || lua_rawequal(L, -1, code);
    lua_pop(L, 2);
    return is_it ? req->blamed : 0;
}

/* core.blamed(req, code) -> the status for a failure with that code; nil: it is not the body's. */
int ml_http_core_blamed(lua_State *L)
{
    ml_check_request(L, 1);
    lua_settop(L, 2);
    int status = ml_request_body_status(L, 1, 2);
    lua_pushinteger(L, status);
    if (status == 0)
        lua_pushnil(L);
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
    static const luaL_Reg methods[] = {{"body", request_body},
                                       {"read_some", request_read_some},
                                       {"gone", request_gone},
                                       {"trailers", request_trailers},
                                       {NULL, NULL}};
    ml_lua_of(L)->select.sources[ML_SELECT_GONE] = &select_source;
    luaL_newmetatable(L, ml_http_request_type);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    for (int i = 0; i < FIELDS; i++) {
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
