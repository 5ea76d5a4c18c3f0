#include "bindings/http/response_body.h"

#include "bindings/core/failure.h"
#include "bindings/http/files.h"
#include "bindings/http/request_object.h"
#include "bindings/http/response_coding.h"
#include "bindings/http/response_fill.h"

#include <errno.h>

/* ---- sending ---- */

/* A part of a body: a text, or a piece of the file. */
struct part {
    struct iovec text;
    int64_t offset, length;
};

static int send_part(struct ml_http_exchange *x, int file, struct part *part)
{
    uint64_t sent;
    int error = 0;
    if (part->text.iov_len > 0)
        error = x->carrier->send_body(x, &part->text, 1);
    if (error == 0 && part->length > 0)
        error = x->carrier->send_file(x, file, part->offset, (uint64_t)part->length, &sent);
    return error;
}

static int send_parts(struct ml_http_exchange *x, const struct ml_http_answer *answer, int file,
                      struct part *parts, int count)
{
    int error = x->carrier->send_head(x, answer);
    for (int i = 0; error == 0 && i < count; i++)
        error = send_part(x, file, &parts[i]);
    return error == 0 ? x->carrier->end(x, NULL, 0) : error;
}

/* Pushes the parts, in a userdata, of the list on top: text, offset, length of each; the strings
 * stay in the list. */
static struct part *push_parts(lua_State *L, int *count)
{
    int list = lua_gettop(L);
    *count = (int)(lua_rawlen(L, list) / 3);
    struct part *parts = lua_newuserdatauv(L, (size_t)*count * sizeof *parts, 0);
    for (int i = 0; i < *count; i++) {
        lua_rawgeti(L, list, 3 * i + 1);
        lua_rawgeti(L, list, 3 * i + 2);
        lua_rawgeti(L, list, 3 * i + 3);
        parts[i].text.iov_base = (void *)lua_tolstring(L, -3, &parts[i].text.iov_len);
        parts[i].offset = lua_tointeger(L, -2);
        parts[i].length = lua_tointeger(L, -1);
        lua_pop(L, 3);
    }
    return parts;
}

void ml_response_send_file(lua_State *L, int index, struct ml_lua_response *res,
                           struct ml_http_answer *answer)
{
    struct ml_http_exchange *x = res->x;
    struct part whole = {.offset = res->offset, .length = res->length};
    int top = lua_gettop(L), count = 1;
    lua_getiuservalue(L, index, ML_RESPONSE_BODY);
    int file = ml_http_file_number(L, -1);
    if (file < 0)
        luaL_error(L, "the file has been closed");
    struct part *parts = &whole;
    if (lua_getiuservalue(L, index, ML_RESPONSE_PARTS) == LUA_TTABLE)
        parts = push_parts(L, &count);
    answer->length = res->length;
    x->file = ml_http_file_recent(L, top + 1);
    ml_carrier_begin(L, x);
    ml_carrier_end(L, x, send_parts(x, answer, file, parts, count));
    lua_settop(L, top);
}

/* ---- what a response holds ---- */

/* Protected: calls close() of the value at 1. */
static int close_held(lua_State *L)
{
    lua_getfield(L, 1, "close");
    lua_insert(L, 1);
    lua_call(L, 1, 0);
    return 0;
}

void ml_response_release(lua_State *L, int index)
{
    struct ml_lua_response *res = ml_to_object(L, index);
    if (res->kind == ML_BODY_FILE) {
        lua_getiuservalue(L, index, ML_RESPONSE_BODY);
        ml_http_file_close(L, -1);
        lua_pop(L, 1);
    }
    if (res->is_coded) { /* half a megabyte, which shall not wait for the collector */
        lua_getiuservalue(L, index, ML_RESPONSE_ENCODER);
        ml_coded_end(L, -1);
        lua_pop(L, 1);
    }
    if (res->holds) {
        res->holds = false;
        lua_pushcfunction(L, close_held);
        lua_getiuservalue(L, index, ML_RESPONSE_HELD);
        if (lua_pcall(L, 1, 0, 0) != LUA_OK)
            lua_pop(L, 1);
    }
}

/* ---- for stdlib ---- */

/* core.hold(res, object): object:close() is called when the exchange is over. */
int ml_http_core_hold(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, ML_RESPONSE_HELD);
    res->holds = true;
    return 0;
}

static void set_file(lua_State *L, struct ml_lua_response *res, int64_t offset, int64_t length)
{
    ml_response_release(L, 1);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, ML_RESPONSE_BODY);
    res->kind = ML_BODY_FILE;
    res->type = NULL;
    res->offset = offset;
    res->length = length;
}

/* core.file(res, file, offset, length): a file, or one of io's that is open for reading, becomes
 * the body. */
int ml_http_core_file(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    ml_http_file_number(L, 2);
    lua_Integer offset = luaL_checkinteger(L, 3), length = luaL_checkinteger(L, 4);
    luaL_argcheck(L, offset >= 0, 3, "offset must not be negative");
    luaL_argcheck(L, length >= 0, 4, "length must not be negative");
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    ml_response_check_unsent(L, res);
    set_file(L, res, offset, length);
    lua_pushnil(L);
    lua_setiuservalue(L, 1, ML_RESPONSE_PARTS);
    return ml_push_outcome(L, 0);
}

/* core.ranges(res, file, list, length): the same for a list of texts and pieces of the file: text,
 * offset, length, and so on; `length` is that of all. */
int ml_http_core_ranges(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    ml_http_file_number(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_Integer length = luaL_checkinteger(L, 4);
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    ml_response_check_unsent(L, res);
    set_file(L, res, 0, length);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, 1, ML_RESPONSE_PARTS);
    return ml_push_outcome(L, 0);
}
