/*** @submodule moonlet.http */
/* The body of a request, as handlers read it. */
#include "bindings/http/request_body.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/http/headers.h"
#include "bindings/http/headers_methods.h"
#include "bindings/http/request_object.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

static const char *text_of(const struct ml_http_exchange *x, int error)
{
    static const char *const texts[] = {"the body is larger than allowed",
                                        "the body did not come in time",
                                        "the peer left in the middle of the body"};
    return error == -EMSGSIZE    ? texts[0]
           : error == -ETIMEDOUT ? texts[1]
           : error == -ML_EEOF   ? texts[2]
           : error == -EPROTO    ? ml_http_error_text(x->syntax_error)
           : error == -EBUSY     ? "another task is reading this body"
                                 : ml_error_text(error);
}

static int push_body_failure(lua_State *L, struct ml_http_exchange *x, int error)
{
    luaL_pushfail(L);
    lua_pushstring(L, text_of(x, error));
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

/***
The whole body, which stays: it may be asked for again, as json() or form(). May wait.
@function Request:body
@tparam[opt] integer max bytes at most, in place of the route's limit
@treturn string "" without one; or nil, message, code: "EMSGSIZE" (answered 413 if the handler
returns it), "EPROTO" (400), "ETIMEDOUT" (408), "EEOF" (400)
*/
int ml_http_request_body(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    size_t max = opt_size(L, 2, 0);
    if (req->use == ML_BODY_STREAMED)
        return luaL_error(L, "the body is being read piece by piece");
    lua_settop(L, 1);
    if (req->kept & 1u << ML_REQUEST_BODY) {
        ml_request_push_kept(L, ML_REQUEST_BODY);
        return 1;
    }
    if (req->x == NULL)
        return ml_fail_exchange_over(L);
    if (max > 0)
        req->x->max_body = max;
    req->use = ML_BODY_KEPT;
    if (!read_whole(L, req))
        return 3;
    ml_request_keep(L, req, ML_REQUEST_BODY);
    return 1;
}

/* Marks the body as streamed; false: its failure, 3 values, is pushed. */
static bool begin_streaming(lua_State *L, struct ml_lua_request *req)
{
    if (req->use == ML_BODY_KEPT)
        luaL_error(L, "the body was read as a whole");
    if (req->x == NULL) {
        ml_fail_exchange_over(L);
        return false;
    }
    req->use = ML_BODY_STREAMED;
    return true;
}

/* (max) -> the next bytes of the body; nil at the end; or nil, message, code. stdlib has it. */
int ml_http_request_read_some(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    size_t max = opt_size(L, 2, SIZE_MAX);
    return begin_streaming(L, req) ? push_chunk(L, req, max) : 3;
}

/***
The fields after the body, once that was read to its end. Never waits.
@function Request:trailers
@treturn Headers or nil, message, code
*/
int ml_http_request_trailers(lua_State *L)
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

/* ---- whose fault a failure is ---- */

/* core.blame(req, code, status, message): its body was read and is wrong: a handler that returns a
 * failure with that code, or lets one through, answers the status. Several may be told of. */
int ml_http_core_blame(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    luaL_checkstring(L, 2);
    int status = (int)luaL_checkinteger(L, 3);
    luaL_checkstring(L, 4);
    lua_settop(L, 4);
    if (req->blamed != 0)
        ml_request_push_kept(L, ML_REQUEST_BLAMED);
    else
        lua_createtable(L, 0, 2);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3); /* code -> status */
    lua_pushvalue(L, 4);
    lua_pushvalue(L, 2);
    lua_rawset(L, -3); /* message -> code */
    ml_request_keep(L, req, ML_REQUEST_BLAMED);
    req->blamed = status;
    return 0;
}

/* What core.blame() has told of the code. */
static int blamed_status(lua_State *L, const struct ml_lua_request *req, int request, int code)
{
    if (req->blamed == 0 || lua_type(L, code) != LUA_TSTRING)
        return req->blamed;
    lua_getiuservalue(L, request, ML_REQUEST_KEPT);
    lua_rawgeti(L, -1, ML_REQUEST_BLAMED + 1);
    lua_pushvalue(L, code);
    lua_rawget(L, -2);
    int status = (int)lua_tointeger(L, -1);
    lua_pop(L, 3);
    return status;
}

int ml_request_body_status(lua_State *L, int request, int code)
{
    const struct ml_lua_request *req = ml_to_object(L, request);
    int status = req->x != NULL ? ml_http_exchange_body_status(req->x) : 0;
    if (status != 0 && lua_type(L, code) == LUA_TSTRING &&
        strcmp(lua_tostring(L, code), ml_error_name(req->x->body_error)) != 0)
        status = 0;
    return status != 0 ? status : blamed_status(L, req, request, code);
}

/* Whether the error `text` was raised of `message` by assert() or error(), which may put
 * "chunk:line: " before it. */
static bool is_raised_of(const char *text, size_t size, const char *message, size_t message_size)
{
    size_t at = size - message_size;
    if (message_size == 0 || message_size > size || memcmp(text + at, message, message_size) != 0)
        return false;
    if (at == 0)
        return true;
    if (at < 2 || memcmp(text + at - 2, ": ", 2) != 0)
        return false;
    size_t end = at -= 2;
    while (at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9')
        at--;
    return at > 0 && at < end && text[at - 1] == ':';
}

/* Pushes the message that core.blame() was told, and the code, if `text` was raised of it: true. */
static bool push_blamed(lua_State *L, const struct ml_lua_request *req, const char *text,
                        size_t size)
{
    if (req->blamed == 0)
        return false;
    ml_request_push_kept(L, ML_REQUEST_BLAMED);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        size_t message_size;
        const char *message = lua_tolstring(L, -2, &message_size);
        if (lua_type(L, -1) == LUA_TSTRING && is_raised_of(text, size, message, message_size))
            return true;
    }
    return false;
}

/* core.failure_of(req, text) -> the message and code of the body's failure, where assert() or
 * error() has raised `text` of its message, which loses the code; nil: it is another error. */
int ml_http_core_failure_of(lua_State *L)
{
    const struct ml_lua_request *req = ml_check_request(L, 1);
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    int error = req->x != NULL ? req->x->body_error : 0;
    const char *message = error != 0 ? text_of(req->x, error) : "";
    if (is_raised_of(text, size, message, strlen(message))) {
        lua_pushstring(L, message);
        lua_pushstring(L, ml_error_name(error));
    } else if (!push_blamed(L, req, text, size)) {
        lua_pushnil(L);
        lua_pushnil(L);
    }
    return 2;
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
