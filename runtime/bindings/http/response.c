/*** @submodule moonlet.http */
/* Responses as handlers see them, and what their results answer. */
#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/http/headers.h"
#include "bindings/http/types.h"
#include "http/answer.h"

#include <errno.h>
#include <string.h>

const char ml_http_response_type[] = "http.response";

struct ml_lua_response *ml_push_response(lua_State *L, struct ml_http_exchange *x, int request)
{
    struct ml_lua_response *res =
        ml_push_object(L, ml_http_response_type, sizeof *res, ML_RESPONSE_VALUES);
    res->x = x;
    lua_pushvalue(L, request);
    lua_setiuservalue(L, -2, ML_RESPONSE_REQUEST);
    return res;
}

/* ---- heads ---- */

/* Makes the answer's pairs of the response's headers, with a default content type; the array is a
 * userdata left on the stack. */
static void make_answer(lua_State *L, int index, const struct ml_lua_response *res, int status,
                        bool has_text, struct ml_http_answer *answer)
{
    static const char type[] = "content-type", text[] = "text/plain; charset=utf-8";
    struct ml_http_headers *headers = NULL;
    struct ml_http_line line;
    if (res->has_headers) {
        lua_getiuservalue(L, index, ML_RESPONSE_HEADERS);
        headers = ml_http_test_headers(L, -1);
    }
    size_t count = headers != NULL ? headers->count : 0;
    struct ml_http_pair *pairs = lua_newuserdatauv(L, (count + 1) * sizeof *pairs, 0);
    *answer = (struct ml_http_answer){.status = status, .pairs = pairs, .length = -1};
    bool has_type = !has_text;
    for (size_t at = 0; headers != NULL && ml_http_headers_next(headers, &at, &line);) {
        has_type |= line.known == ML_HTTP_CONTENT_TYPE;
        pairs[answer->pair_count++] = (struct ml_http_pair){
            line.name, line.value, (uint32_t)line.name_size, (uint32_t)line.value_size};
    }
    if (!has_type)
        pairs[answer->pair_count++] =
            (struct ml_http_pair){type, text, sizeof type - 1, sizeof text - 1};
}

/* Sends status and body, the string at `body` (0: none), as the whole answer. */
static void send_whole(lua_State *L, struct ml_lua_response *res, int status, int body)
{
    struct ml_http_exchange *x = res->x;
    struct iovec piece = {.iov_base = (void *)"", .iov_len = 0};
    struct ml_http_answer answer;
    if (body != 0)
        piece.iov_base = (void *)lua_tolstring(L, body, &piece.iov_len);
    luaL_argcheck(L, status >= 200 && status <= 599, 2, "status must be from 200 to 599");
    if (ml_http_status_is_bare(status) && piece.iov_len > 0)
        luaL_error(L, "an answer of status %d has no body", status);
    make_answer(L, 2, res, status, body != 0 && !ml_http_status_is_bare(status), &answer);
    answer.length = (int64_t)piece.iov_len;
    ml_blocking_begin(L);
    ml_blocking_end(L, x->carrier->send_whole(x, &answer, &piece, 1));
}

static int status_of(const struct ml_lua_response *res, bool has_body)
{
    return res->status != 0 ? res->status : has_body ? 200 : 204;
}

static void respond_as_said(lua_State *L, struct ml_lua_response *res)
{
    struct ml_http_exchange *x = res->x;
    if (x->phase == ML_HTTP_HEADED) {
        ml_blocking_begin(L);
        ml_blocking_end(L, x->carrier->end(x, NULL, 0));
    } else if (x->phase == ML_HTTP_UNSENT) {
        if (res->has_body)
            lua_getiuservalue(L, 2, ML_RESPONSE_BODY);
        send_whole(L, res, status_of(res, res->has_body), res->has_body ? lua_gettop(L) : 0);
    }
}

/* Takes the headers at `index` in place of those of the same names. */
static void take_headers(lua_State *L, struct ml_lua_response *res, int response, int index)
{
    ml_http_take_headers(L, index, "headers");
    lua_setiuservalue(L, response, ML_RESPONSE_HEADERS);
    res->has_headers = true;
}

void ml_respond(lua_State *L, struct ml_lua_response *res)
{
    int count = lua_gettop(L) - 2;
    bool is_said = count == 0 || (count == 1 && (lua_isnil(L, 3) || lua_toboolean(L, 3)) &&
                                  (lua_isnil(L, 3) || lua_isboolean(L, 3)));
    if (is_said) {
        respond_as_said(L, res);
        return;
    }
    if (res->x->phase != ML_HTTP_UNSENT)
        luaL_error(L, "the head has been sent; the handler has returned an answer");
    if (count == 1 && lua_type(L, 3) == LUA_TSTRING) {
        send_whole(L, res, status_of(res, true), 3);
        return;
    }
    if (count > 3 || !lua_isinteger(L, 3))
        luaL_error(L, "the handler has returned what is no answer (a %s)", luaL_typename(L, 3));
    int body = count > 1 && !lua_isnil(L, -1) ? lua_gettop(L) : 0;
    if (body != 0 && lua_type(L, body) != LUA_TSTRING)
        luaL_error(L, "the body is a %s, not a string", luaL_typename(L, body));
    if (count == 3)
        take_headers(L, res, 2, 4);
    send_whole(L, res, (int)lua_tointeger(L, 3), body);
}

/* ---- methods ---- */

/***
Sends values as the next part of the body, the head before the first. May wait.
@function Response:write
@param ... strings or numbers
@treturn boolean true; or nil, message, code
*/
static int response_write(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    struct ml_http_answer answer;
    luaL_Buffer all;
    int count = lua_gettop(L);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    luaL_buffinit(L, &all);
    for (int i = 2; i <= count; i++) {
        luaL_checkstring(L, i);
        lua_pushvalue(L, i);
        luaL_addvalue(&all);
    }
    luaL_pushresult(&all);
    int body = lua_gettop(L);
    struct ml_http_exchange *x = res->x;
    int error = 0;
    if (x->phase == ML_HTTP_UNSENT) {
        make_answer(L, 1, res, res->status != 0 ? res->status : 200, true, &answer);
        if (ml_http_status_is_bare(answer.status))
            return luaL_error(L, "an answer of status %d has no body", answer.status);
        ml_blocking_begin(L);
        error = ml_blocking_end(L, x->carrier->send_head(x, &answer));
    }
    struct iovec piece;
    piece.iov_base = (void *)lua_tolstring(L, body, &piece.iov_len);
    if (error == 0) {
        ml_blocking_begin(L);
        error = ml_blocking_end(L, x->carrier->send_body(x, &piece, 1));
    }
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/***
Makes a string the body of the answer, which is sent when the handler has returned. Never waits.
@function Response:send
@tparam string body
*/
static int response_send(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    if (res->x->phase != ML_HTTP_UNSENT)
        return luaL_error(L, "the head has been sent");
    lua_setiuservalue(L, 1, ML_RESPONSE_BODY);
    res->has_body = true;
    lua_pushboolean(L, 1);
    return 1;
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

static int response_index(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    const char *name = luaL_checkstring(L, 2);
    if (strcmp(name, "status") == 0) {
        lua_pushinteger(L, res->status);
        if (res->status == 0)
            lua_pushnil(L);
    } else if (strcmp(name, "headers") == 0) {
        if (!res->has_headers) {
            ml_http_push_new_headers(L, 4, 128);
            lua_setiuservalue(L, 1, ML_RESPONSE_HEADERS);
            res->has_headers = true;
        }
        lua_getiuservalue(L, 1, ML_RESPONSE_HEADERS);
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
    if (res->x == NULL || res->x->phase != ML_HTTP_UNSENT)
        return luaL_error(L, "the head has been sent");
    if (strcmp(name, "headers") == 0) {
        take_headers(L, res, 1, 3);
        return 0;
    }
    if (strcmp(name, "status") != 0)
        return luaL_error(L, "a response has no field '%s' to be set", name);
    lua_Integer status = luaL_checkinteger(L, 3);
    luaL_argcheck(L, status >= 200 && status <= 599, 3, "status must be from 200 to 599");
    res->status = (int)status;
    return 0;
}

void ml_push_response_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"write", response_write}, {"send", response_send}, {"sent", response_sent}, {NULL, NULL}};
    luaL_newmetatable(L, ml_http_response_type);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, response_index, 1);
    lua_setfield(L, -3, "__index");
    lua_pushcfunction(L, response_newindex);
    lua_setfield(L, -3, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -3, "__metatable");
    lua_remove(L, -2);
}
