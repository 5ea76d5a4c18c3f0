/*** @submodule moonlet.http */
/* Responses as handlers see them. */
#include "bindings/http/response.h"

#include "base/error.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/data/json_encode.h"
#include "bindings/data/json_values.h"
#include "bindings/http/given_headers.h"
#include "bindings/http/request.h"
#include "bindings/http/request_object.h"
#include "bindings/http/response_fill.h"
#include "bindings/http/response_send.h"
#include "bindings/http/types.h"
#include "bindings/net/stream_object.h"
#include "http/answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char ml_http_response_type[] = "http.response";

struct ml_lua_response *ml_push_response(lua_State *L, struct ml_http_exchange *x, int request,
                                         int server)
{
    struct ml_lua_response *res =
        ml_push_bare_object(L, ml_http_response_type, sizeof *res, ML_RESPONSE_VALUES);
    res->x = x;
    lua_getiuservalue(L, server, ML_SERVER_RESPONSES);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, request);
    lua_setiuservalue(L, -2, ML_RESPONSE_REQUEST);
    return res;
}

/* ---- methods ---- */

/* Appends what write() takes to a buffer: strings, numbers, lists of them. */
static void add_value(lua_State *L, luaL_Buffer *all, int index)
{
    luaL_argcheck(L, lua_isstring(L, index), index, "string, number or list expected");
    lua_pushvalue(L, index);
    luaL_addvalue(all);
}

static void push_text(lua_State *L, int count)
{
    luaL_Buffer all;
    luaL_buffinit(L, &all);
    for (int i = 2; i <= count; i++) {
        if (lua_type(L, i) != LUA_TTABLE) {
            add_value(L, &all, i);
            continue;
        }
        for (lua_Integer k = 1; lua_rawgeti(L, i, k) != LUA_TNIL; k++) {
            luaL_argcheck(L, lua_isstring(L, -1), i, "a list holds strings and numbers only");
            luaL_addvalue(&all);
        }
        lua_pop(L, 1);
    }
    luaL_pushresult(&all);
}

/***
The answer to a request, in its handler; after that it is closed.
@object Response
@tfield ?integer status nil: not set yet; then 200, or 204 without a body
@tfield Headers headers
*/

/***
Sends values as the next part of the body, the head before the first. May wait.
@function Response:write
@param ... strings, numbers, lists of them
@treturn boolean true; or nil, message, code
*/
static int response_write(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    int count = lua_gettop(L);
    if (res->x == NULL)
        return ml_fail_exchange_over(L);
    if (count == 2 && lua_type(L, 2) == LUA_TSTRING)
        lua_pushvalue(L, 2);
    else
        push_text(L, count);
    int body = lua_gettop(L);
    size_t size;
    int error = ml_response_send_head(L, 1, res);
    const char *data = lua_tolstring(L, body, &size);
    if (res->x == NULL) /* over meanwhile: this is another task than the handler's */
        return ml_fail_exchange_over(L);
    if (error == 0)
        error = ml_response_send_body(L, 1, res, data, size, ML_CODING_MORE);
    return ml_push_outcome(L, error);
}

/***
Sends the head, and all that was written, at once. May wait.
@function Response:flush
@treturn boolean true; or nil, message, code
*/
static int response_flush(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    if (res->x == NULL)
        return ml_fail_exchange_over(L);
    struct ml_http_exchange *x = res->x;
    int error = ml_response_send_head(L, 1, res);
    if (res->x == NULL)
        return ml_fail_exchange_over(L);
    if (error == 0 && res->is_coded)
        error = ml_response_send_body(L, 1, res, "", 0, ML_CODING_FLUSH);
    if (res->x == NULL)
        return ml_fail_exchange_over(L);
    if (error == 0) {
        ml_carrier_begin(L, x);
        error = ml_carrier_end(L, x, x->carrier->flush(x));
    }
    return ml_push_outcome(L, error);
}

/***
Makes a string the body of the answer, which is sent when the handler has returned. Never waits.
@function Response:send
@tparam string body
@treturn boolean true; or nil, message, code
*/
static int response_send(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    luaL_checkstring(L, 2);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    ml_response_check_unsent(L, res);
    lua_tostring(L, 2);
    ml_response_set_body(L, 1, res, 2);
    return ml_push_outcome(L, 0);
}

/***
Makes a value, as JSON, the body of the answer, which is sent when the handler has returned. Raises
for what JSON cannot say. Never waits.
@function Response:json
@param value
@treturn boolean true; or nil, message, code
*/
static int response_json(lua_State *L)
{
    static const struct ml_json_writing how = {.max_depth = ML_JSON_DEPTH};
    struct ml_lua_response *res = ml_check_response(L, 1);
    luaL_checkany(L, 2);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    ml_response_check_unsent(L, res);
    ml_json_encode(L, 2, how);
    lua_setiuservalue(L, 1, ML_RESPONSE_BODY);
    res->kind = ML_BODY_TEXT;
    res->type = ML_RESPONSE_JSON;
    return ml_push_outcome(L, 0);
}

/***
Whether the head is out. Never waits.
@function Response:sent
@treturn boolean
*/
static int response_sent(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    lua_pushboolean(L, res->x == NULL || res->x->phase != ML_HTTP_UNSENT);
    return 1;
}

/***
Adds a field that is sent behind the body. HTTP/1.0 knows none, and no answer whose head has named
its length has one. Never waits.
@function Response:trailer
@tparam string name
@param value string, number or a list of them
@treturn boolean true; or nil, message, code
*/
static int response_trailer(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    luaL_checkstring(L, 2);
    luaL_checkany(L, 3);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    if (!res->has_trailers) {
        ml_http_push_new_headers(L, 2, 64);
        lua_setiuservalue(L, 1, ML_RESPONSE_TRAILERS);
        res->has_trailers = true;
    }
    lua_getiuservalue(L, 1, ML_RESPONSE_TRAILERS);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_settable(L, -3);
    return ml_push_outcome(L, 0);
}

/***
Sends an interim answer, such as 103 with `link` fields; a peer of HTTP/1.0 gets none. May wait.
@function Response:inform
@tparam integer status 102 to 199
@tparam[opt] table headers
@treturn boolean true; or nil, message, code
*/
static int response_inform(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    lua_Integer status = luaL_checkinteger(L, 2);
    luaL_argcheck(L, status >= 102 && status <= 199, 2, "status must be from 102 to 199");
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    ml_response_check_unsent(L, res);
    lua_settop(L, 3);
    struct ml_http_headers *headers = ml_http_take_headers(L, 3, "headers");
    struct ml_http_answer answer = {.status = (int)status, .length = -1};
    answer.pairs = ml_response_push_pairs(L, headers, &answer.pair_count);
    struct ml_http_exchange *x = res->x;
    ml_carrier_begin(L, x);
    return ml_push_outcome(L, ml_carrier_end(L, x, x->carrier->inform(x, &answer)));
}

/***
Limits each wait for the peer to read, in place of the route's limit. Never waits.
@function Response:set_timeout
@tparam ?number s seconds; nil: no limit
*/
static int response_set_timeout(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    ml_time span = lua_isnoneornil(L, 2) ? ML_FOREVER : ml_check_span(L, 2);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    res->x->write_timeout = span;
    if (res->x->version < 20)
        res->x->stream->write_timeout = span;
    return ml_push_outcome(L, 0);
}

/***
Takes the connection: the stream is the handler's, which has read the request's head and nothing
behind it, until the handler returns; then it is closed. Raises once the head is out. May wait.
@function Response:hijack
@treturn stream or nil, message, code ("EOPNOTSUPP": HTTP/2)
*/
static int response_hijack(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    ml_response_check_unsent(L, res);
    struct ml_http_exchange *x = res->x;
    ml_carrier_begin(L, x);
    int error = ml_carrier_end(L, x, x->carrier->hijack(x));
    if (error != 0)
        return ml_push_failure(L, error);
    lua_getiuservalue(L, 1, ML_RESPONSE_REQUEST);
    lua_getiuservalue(L, -1, ML_REQUEST_CONNECTION);
    lua_getiuservalue(L, -1, ML_CONNECTION_STREAM);
    struct ml_stream *s = ml_check_stream(L, -1);
    s->read_timeout = s->write_timeout = ML_FOREVER;
    return 1;
}

static int response_index(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    const char *name = luaL_checkstring(L, 2);
    if (strcmp(name, "status") == 0) {
        lua_pushinteger(L, res->status);
        if (res->status == 0)
            lua_pushnil(L);
    } else if (strcmp(name, "headers") == 0) {
        ml_response_push_headers(L, 1, res);
    } else {
        lua_pushvalue(L, 2);
        lua_rawget(L, lua_upvalueindex(1));
    }
    return 1;
}

static int response_newindex(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    const char *name = luaL_checkstring(L, 2);
    if (res->x == NULL)
        return luaL_error(L, "the request is over (its answer's '%s')", name);
    ml_response_check_unsent(L, res);
    if (strcmp(name, "headers") == 0) {
        ml_http_take_headers(L, 3, "headers");
        lua_setiuservalue(L, 1, ML_RESPONSE_HEADERS);
        res->has_headers = true;
        return 0;
    }
    if (strcmp(name, "status") != 0)
        return luaL_error(L, "a response has no field '%s' to be set", name);
    res->status = ml_response_check_status(L, 3);
    return 0;
}

static int response_tostring(lua_State *L)
{
    const struct ml_lua_response *res = ml_check_response(L, 1);
    const char *state = res->x == NULL                    ? "over"
                        : res->x->phase == ML_HTTP_UNSENT ? "not sent"
                        : res->x->phase == ML_HTTP_HEADED ? "being sent"
                                                          : "sent";
    lua_pushfstring(L, "http.response %d (%s)", ml_response_status(res), state);
    return 1;
}

/* ---- for stdlib ---- */

/* core.fill(req, res, ...): a handler's results go into the response. */
int ml_http_core_fill(lua_State *L)
{
    ml_response_fill(L, 2, 3);
    return 0;
}

/* core.request(res) -> the request; or nil, message, code: it is over. */
int ml_http_core_request(lua_State *L)
{
    if (ml_check_response(L, 1)->x == NULL)
        return ml_push_exchange_over(L);
    lua_getiuservalue(L, 1, ML_RESPONSE_REQUEST);
    return 1;
}

void ml_push_response_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"write", response_write},   {"flush", response_flush},
        {"send", response_send},     {"json", response_json},
        {"sent", response_sent},     {"trailer", response_trailer},
        {"inform", response_inform}, {"set_timeout", response_set_timeout},
        {"hijack", response_hijack}, {NULL, NULL}};
    luaL_newmetatable(L, ml_http_response_type);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, response_index, 1);
    lua_setfield(L, -3, "__index");
    lua_pushcfunction(L, response_newindex);
    lua_setfield(L, -3, "__newindex");
    lua_pushcfunction(L, response_tostring);
    lua_setfield(L, -3, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -3, "__metatable");
    lua_remove(L, -2);
}
