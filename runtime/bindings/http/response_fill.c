#include "bindings/http/response_fill.h"

#include "bindings/core/failure.h"
#include "bindings/data/json_encode.h"
#include "bindings/data/json_values.h"
#include "bindings/http/given_headers.h"
#include "bindings/http/request_body.h"

#include <string.h>

/* Raises if the head is out. */
void ml_response_check_unsent(lua_State *L, const struct ml_lua_response *res)
{
    if (res->x != NULL && res->x->phase != ML_HTTP_UNSENT)
        luaL_error(L, "the head of the answer has been sent");
}

/* Pushes the object, made if there is none. */
struct ml_http_headers *ml_response_push_headers(lua_State *L, int index,
                                                 struct ml_lua_response *res)
{
    if (!res->has_headers) {
        ml_http_push_new_headers(L, 4, 128);
        lua_setiuservalue(L, index, ML_RESPONSE_HEADERS);
        res->has_headers = true;
    }
    lua_getiuservalue(L, index, ML_RESPONSE_HEADERS);
    return ml_http_test_headers(L, -1);
}

/* The headers at `given` take the place of those of the same names. */
static void merge_headers(lua_State *L, int index, struct ml_lua_response *res, int given)
{
    struct ml_http_headers *more = ml_http_take_headers(L, given, "headers");
    struct ml_http_line line;
    if (!res->has_headers) {
        lua_setiuservalue(L, index, ML_RESPONSE_HEADERS);
        res->has_headers = true;
        return;
    }
    struct ml_http_headers *headers = ml_response_push_headers(L, index, res);
    for (size_t at = 0; ml_http_headers_next(more, &at, &line);)
        ml_http_headers_remove(headers, line.name, line.name_size);
    for (size_t at = 0; ml_http_headers_next(more, &at, &line);)
        ml_http_headers_add(L, lua_gettop(L), line.name, line.name_size, line.value,
                            line.value_size);
    lua_pop(L, 2);
}

/* ---- what handlers return ---- */

int ml_response_check_status(lua_State *L, int index)
{
    lua_Integer status = lua_tointeger(L, index);
    if (!lua_isinteger(L, index) || status < 200 || status > 599)
        luaL_error(L, "the status %s of the answer is not from 200 to 599",
                   luaL_tolstring(L, index, NULL));
    return (int)status;
}

/* The value at `body` becomes the body: a string, or a table as JSON. */
void ml_response_set_body(lua_State *L, int index, struct ml_lua_response *res, int body)
{
    static const struct ml_json_writing how = {.max_depth = ML_JSON_DEPTH};
    if (lua_type(L, body) == LUA_TTABLE) {
        ml_json_encode(L, body, how);
        res->type = ML_RESPONSE_JSON;
    } else if (lua_type(L, body) == LUA_TSTRING) {
        lua_pushvalue(L, body);
        res->type = ML_RESPONSE_TEXT;
    } else {
        luaL_error(L, "the body of an answer is a string or a table, not a %s",
                   luaL_typename(L, body));
    }
    lua_setiuservalue(L, index, ML_RESPONSE_BODY);
    res->kind = ML_BODY_TEXT;
}

/* Nothing, nil alone or true: the answer is what the response says. */
static bool is_nothing(lua_State *L, int first, int count)
{
    return count == 0 || (count == 1 && (lua_isnil(L, first) ||
                                         (lua_isboolean(L, first) && lua_toboolean(L, first))));
}

/* `nil, message, code`: an answer of 4xx if the request's body is to blame, else an error, as also
 * once the head is out. */
static void fill_failure(lua_State *L, int index, struct ml_lua_response *res, int first)
{
    luaL_checkstack(L, 8, NULL);
    lua_settop(L, first + 2);
    lua_getiuservalue(L, index, ML_RESPONSE_REQUEST);
    bool is_answer = res->x->phase == ML_HTTP_UNSENT;
    int status = is_answer ? ml_request_body_status(L, lua_gettop(L), first + 2) : 0;
    lua_pushvalue(L, first + 1);
    if (status == 0 && lua_type(L, first + 2) == LUA_TSTRING) {
        lua_pushvalue(L, first + 2);
        ml_raise_failure(L);
    }
    if (status == 0)
        lua_error(L);
    res->status = status;
    luaL_tolstring(L, -1, NULL);
    lua_pushliteral(L, "\n");
    lua_concat(L, 2);
    ml_response_set_body(L, index, res, lua_gettop(L));
}

static void fill_status(lua_State *L, int index, struct ml_lua_response *res, int first, int count)
{
    int body = first + count - 1;
    if (count > 3)
        luaL_error(L, "a handler returns at most a status, headers and a body, not %d values",
                   count);
    int status = ml_response_check_status(L, first);
    if (count == 3 && !lua_isnil(L, first + 1))
        merge_headers(L, index, res, first + 1);
    if (count > 1 && !lua_isnil(L, body))
        ml_response_set_body(L, index, res, body);
    res->status = status;
}

bool ml_response_is_error(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE || luaL_getmetafield(L, index, "__name") == LUA_TNIL)
        return false;
    bool is_it = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "http.error") == 0;
    lua_pop(L, 1);
    return is_it;
}

void ml_response_fill(lua_State *L, int index, int first)
{
    struct ml_lua_response *res = ml_check_response(L, index);
    int count = lua_gettop(L) - first + 1;
    if (is_nothing(L, first, count) || res->x == NULL)
        return;
    if (lua_isnil(L, first))
        fill_failure(L, index, res, first);
    ml_response_check_unsent(L, res);
    if (lua_isnil(L, first))
        return;
    if (lua_type(L, first) == LUA_TNUMBER)
        fill_status(L, index, res, first, count);
    else if (count == 1 && ml_response_is_error(L, first))
        lua_error(L);
    else if (count == 1)
        ml_response_set_body(L, index, res, first);
    else
        luaL_error(L,
                   "a handler has returned %d values, the first a %s: before a body there is a "
                   "status",
                   count, luaL_typename(L, first));
}
