/*** @submodule moonlet.http */
/* Responses as handlers see them, and what their results answer. */
#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/data/json_encode.h"
#include "bindings/data/json_values.h"
#include "bindings/http/headers.h"
#include "bindings/http/types.h"
#include "bindings/net/stream_object.h"
#include "http/answer.h"

#include <errno.h>
#include <stdio.h>
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

/* Raises if the head is out. */
static void check_unsent(lua_State *L, const struct ml_lua_response *res)
{
    if (res->x != NULL && res->x->phase != ML_HTTP_UNSENT)
        luaL_error(L, "the head of the answer has been sent");
}

/* ---- headers ---- */

/* Pushes the object, made if there is none. */
static struct ml_http_headers *push_headers(lua_State *L, int index, struct ml_lua_response *res)
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
    struct ml_http_headers *headers = push_headers(L, index, res);
    for (size_t at = 0; ml_http_headers_next(more, &at, &line);)
        ml_http_headers_remove(headers, line.name, line.name_size);
    for (size_t at = 0; ml_http_headers_next(more, &at, &line);)
        ml_http_headers_add(L, lua_gettop(L), line.name, line.name_size, line.value,
                            line.value_size);
    lua_pop(L, 2);
}

/* The pairs of a headers object, NULL: none, in a userdata that is left on the stack; one place
 * more than they need. */
static struct ml_http_pair *push_pairs(lua_State *L, const struct ml_http_headers *headers,
                                       int *count)
{
    struct ml_http_line line;
    size_t most = headers != NULL ? headers->count : 0;
    struct ml_http_pair *pairs = lua_newuserdatauv(L, (most + 1) * sizeof *pairs, 0);
    *count = 0;
    for (size_t at = 0; headers != NULL && ml_http_headers_next(headers, &at, &line);)
        pairs[(*count)++] = (struct ml_http_pair){line.name, line.value, (uint32_t)line.name_size,
                                                  (uint32_t)line.value_size};
    return pairs;
}

/* ---- heads ---- */

/* Makes the head of the answer; leaves two values on the stack that keep it alive. The headers
 * cannot be changed from now on. */
static void make_answer(lua_State *L, int index, const struct ml_lua_response *res, int status,
                        struct ml_http_answer *answer)
{
    static const char type[] = "content-type", text[] = "text/plain; charset=utf-8";
    struct ml_http_headers *headers = NULL;
    lua_pushnil(L);
    if (res->has_headers) {
        lua_getiuservalue(L, index, ML_RESPONSE_HEADERS);
        lua_replace(L, -2);
        headers = ml_http_test_headers(L, -1);
        headers->is_sent = true;
    }
    size_t size;
    struct ml_http_pair *pairs = push_pairs(L, headers, &answer->pair_count);
    answer->status = status;
    answer->pairs = pairs;
    answer->length = -1;
    bool needs_type =
        res->is_text && !ml_http_status_is_bare(status) &&
        (headers == NULL || ml_http_headers_find(headers, type, sizeof type - 1, &size) == NULL);
    if (needs_type)
        pairs[answer->pair_count++] =
            (struct ml_http_pair){type, text, sizeof type - 1, sizeof text - 1};
}

static int status_of(const struct ml_lua_response *res)
{
    return res->status != 0 ? res->status : res->kind != ML_BODY_UNSAID ? 200 : 204;
}

/* Sends the head of an answer whose body is streamed. */
static int send_head(lua_State *L, int index, struct ml_lua_response *res)
{
    struct ml_http_exchange *x = res->x;
    struct ml_http_answer answer;
    int status = res->status != 0 ? res->status : 200;
    if (x->phase != ML_HTTP_UNSENT)
        return 0;
    if (ml_http_status_is_bare(status))
        return luaL_error(L, "an answer of status %d has no body", status);
    make_answer(L, index, res, status, &answer);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, x->carrier->send_head(x, &answer));
    lua_pop(L, 2);
    return error;
}

/* ---- whole answers ---- */

static void send_text(lua_State *L, int index, struct ml_lua_response *res, int body)
{
    struct ml_http_exchange *x = res->x;
    struct iovec piece = {.iov_base = (void *)"", .iov_len = 0};
    struct ml_http_answer answer;
    int status = status_of(res);
    if (body != 0)
        piece.iov_base = (void *)lua_tolstring(L, body, &piece.iov_len);
    if (ml_http_status_is_bare(status) && piece.iov_len > 0)
        luaL_error(L, "an answer of status %d has no body", status);
    make_answer(L, index, res, status, &answer);
    answer.length = (int64_t)piece.iov_len;
    ml_blocking_begin(L);
    ml_blocking_end(L, x->carrier->send_whole(x, &answer, &piece, 1));
    lua_pop(L, 2);
}

/* The descriptor of one of io's files; -1: it is closed. */
static int file_number(lua_State *L, int index)
{
    luaL_Stream *file = luaL_checkudata(L, index, LUA_FILEHANDLE);
    return file->closef != NULL ? fileno(file->f) : -1;
}

static int send_file_body(struct ml_http_exchange *x, const struct ml_http_answer *answer, int file,
                          const struct ml_lua_response *res)
{
    uint64_t sent;
    int error = x->carrier->send_head(x, answer);
    if (error == 0)
        error = x->carrier->send_file(x, file, res->offset, (uint64_t)res->length, &sent);
    return error == 0 ? x->carrier->end(x, NULL, 0) : error;
}

static void send_file(lua_State *L, int index, struct ml_lua_response *res)
{
    struct ml_http_answer answer;
    lua_getiuservalue(L, index, ML_RESPONSE_BODY);
    int file = file_number(L, -1);
    if (file < 0)
        luaL_error(L, "the file has been closed");
    make_answer(L, index, res, status_of(res), &answer);
    answer.length = res->length;
    ml_blocking_begin(L);
    ml_blocking_end(L, send_file_body(res->x, &answer, file, res));
    lua_pop(L, 3);
}

/* The end of a body that was streamed, with what trailers there are. */
static int send_end(lua_State *L, int index, struct ml_lua_response *res)
{
    struct ml_http_exchange *x = res->x;
    int count = 0;
    const struct ml_http_pair *pairs = NULL;
    if (res->has_trailers) {
        lua_getiuservalue(L, index, ML_RESPONSE_TRAILERS);
        pairs = push_pairs(L, ml_http_test_headers(L, -1), &count);
    }
    ml_blocking_begin(L);
    return ml_blocking_end(L, x->carrier->end(x, pairs, count));
}

/* An answer with trailers is streamed, even if its body is known. */
static void send_with_trailers(lua_State *L, int index, struct ml_lua_response *res)
{
    struct ml_http_exchange *x = res->x;
    struct iovec piece = {.iov_base = (void *)"", .iov_len = 0};
    int error = send_head(L, index, res);
    if (res->kind == ML_BODY_TEXT) {
        lua_getiuservalue(L, index, ML_RESPONSE_BODY);
        piece.iov_base = (void *)lua_tolstring(L, -1, &piece.iov_len);
    }
    if (error == 0 && piece.iov_len > 0) {
        ml_blocking_begin(L);
        error = ml_blocking_end(L, x->carrier->send_body(x, &piece, 1));
    }
    if (error == 0)
        send_end(L, index, res);
}

void ml_response_finish(lua_State *L, int index)
{
    struct ml_lua_response *res = ml_check_response(L, index);
    int top = lua_gettop(L);
    if (res->x == NULL)
        return;
    if (res->x->phase == ML_HTTP_HEADED) {
        send_end(L, index, res);
    } else if (res->x->phase == ML_HTTP_UNSENT && res->has_trailers) {
        send_with_trailers(L, index, res);
    } else if (res->x->phase == ML_HTTP_UNSENT && res->kind == ML_BODY_FILE) {
        send_file(L, index, res);
    } else if (res->x->phase == ML_HTTP_UNSENT) {
        if (res->kind == ML_BODY_TEXT)
            lua_getiuservalue(L, index, ML_RESPONSE_BODY);
        send_text(L, index, res, res->kind == ML_BODY_TEXT ? lua_gettop(L) : 0);
    }
    lua_settop(L, top);
}

/* ---- what handlers return ---- */

static int check_status(lua_State *L, int index)
{
    lua_Integer status = lua_tointeger(L, index);
    if (!lua_isinteger(L, index) || status < 200 || status > 599)
        luaL_error(L, "the status %s of the answer is not from 200 to 599",
                   luaL_tolstring(L, index, NULL));
    return (int)status;
}

/* Sets the field unless it is there. */
static void default_type(lua_State *L, int index, struct ml_lua_response *res, const char *type)
{
    static const char name[] = "content-type";
    size_t size;
    struct ml_http_headers *headers = push_headers(L, index, res);
    if (ml_http_headers_find(headers, name, sizeof name - 1, &size) == NULL)
        ml_http_headers_add(L, lua_gettop(L), name, sizeof name - 1, type, strlen(type));
    lua_pop(L, 1);
}

/* The value at `body` becomes the body: a string, or a table as JSON. */
static void set_body(lua_State *L, int index, struct ml_lua_response *res, int body)
{
    static const struct ml_json_writing how = {.max_depth = ML_JSON_DEPTH};
    if (lua_type(L, body) == LUA_TTABLE) {
        ml_json_encode(L, body, how);
        default_type(L, index, res, "application/json");
    } else if (lua_type(L, body) == LUA_TSTRING) {
        lua_pushvalue(L, body);
        res->is_text = true;
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

/* `nil, message, code`: an answer of 4xx if the request's body is to blame, else an error. */
static void fill_failure(lua_State *L, int index, struct ml_lua_response *res, int first)
{
    int status = ml_http_exchange_body_status(res->x);
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
    set_body(L, index, res, lua_gettop(L));
}

static void fill_status(lua_State *L, int index, struct ml_lua_response *res, int first, int count)
{
    int body = first + count - 1;
    if (count > 3)
        luaL_error(L, "a handler returns at most a status, headers and a body, not %d values",
                   count);
    int status = check_status(L, first);
    if (count == 3 && !lua_isnil(L, first + 1))
        merge_headers(L, index, res, first + 1);
    if (count > 1 && !lua_isnil(L, body))
        set_body(L, index, res, body);
    res->status = status;
}

void ml_response_fill(lua_State *L, int index, int first)
{
    struct ml_lua_response *res = ml_check_response(L, index);
    int count = lua_gettop(L) - first + 1;
    if (is_nothing(L, first, count) || res->x == NULL)
        return;
    check_unsent(L, res);
    if (lua_isnil(L, first))
        fill_failure(L, index, res, first);
    else if (lua_type(L, first) == LUA_TNUMBER)
        fill_status(L, index, res, first, count);
    else if (count == 1)
        set_body(L, index, res, first);
    else
        luaL_error(L, "a handler returns a body, or a status before it, not a %s and more",
                   luaL_typename(L, first));
}

void ml_respond(lua_State *L)
{
    struct ml_lua_response *res = ml_to_object(L, 2);
    bool is_plain = lua_gettop(L) == 3 && lua_type(L, 3) == LUA_TSTRING &&
                    res->kind == ML_BODY_UNSAID && !res->has_trailers && res->x != NULL &&
                    res->x->phase == ML_HTTP_UNSENT;
    if (is_plain) { /* the usual answer, which is sent as it stands on the stack */
        res->kind = ML_BODY_TEXT;
        res->is_text = true;
        send_text(L, 2, res, 3);
        return;
    }
    ml_response_fill(L, 2, 3);
    ml_response_finish(L, 2);
}

/* ---- methods ---- */

static int push_outcome(lua_State *L, int error)
{
    return ml_push_outcome(L, error);
}

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
        return ml_push_exchange_over(L);
    if (count == 2 && lua_type(L, 2) == LUA_TSTRING)
        lua_pushvalue(L, 2);
    else
        push_text(L, count);
    int body = lua_gettop(L);
    struct ml_http_exchange *x = res->x;
    int error = send_head(L, 1, res);
    struct iovec piece;
    piece.iov_base = (void *)lua_tolstring(L, body, &piece.iov_len);
    if (error == 0) {
        ml_blocking_begin(L);
        error = ml_blocking_end(L, x->carrier->send_body(x, &piece, 1));
    }
    return push_outcome(L, error);
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
        return ml_push_exchange_over(L);
    struct ml_http_exchange *x = res->x;
    int error = send_head(L, 1, res);
    if (error == 0) {
        ml_blocking_begin(L);
        error = ml_blocking_end(L, x->carrier->flush(x));
    }
    return push_outcome(L, error);
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
    check_unsent(L, res);
    lua_tostring(L, 2);
    set_body(L, 1, res, 2);
    return push_outcome(L, 0);
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
    check_unsent(L, res);
    ml_json_encode(L, 2, how);
    lua_setiuservalue(L, 1, ML_RESPONSE_BODY);
    res->kind = ML_BODY_TEXT;
    res->is_text = false;
    default_type(L, 1, res, "application/json");
    return push_outcome(L, 0);
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
    return push_outcome(L, 0);
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
    check_unsent(L, res);
    lua_settop(L, 3);
    struct ml_http_headers *headers = ml_http_take_headers(L, 3, "headers");
    struct ml_http_answer answer = {.status = (int)status, .length = -1};
    answer.pairs = push_pairs(L, headers, &answer.pair_count);
    struct ml_http_exchange *x = res->x;
    ml_blocking_begin(L);
    return push_outcome(L, ml_blocking_end(L, x->carrier->inform(x, &answer)));
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
    return push_outcome(L, 0);
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
    check_unsent(L, res);
    struct ml_http_exchange *x = res->x;
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, x->carrier->hijack(x));
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
        push_headers(L, 1, res);
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
    check_unsent(L, res);
    if (strcmp(name, "headers") == 0) {
        ml_http_take_headers(L, 3, "headers");
        lua_setiuservalue(L, 1, ML_RESPONSE_HEADERS);
        res->has_headers = true;
        return 0;
    }
    if (strcmp(name, "status") != 0)
        return luaL_error(L, "a response has no field '%s' to be set", name);
    lua_Integer status = luaL_checkinteger(L, 3);
    luaL_argcheck(L, status >= 200 && status <= 599, 3, "status must be from 200 to 599");
    res->status = (int)status;
    return 0;
}

static int response_tostring(lua_State *L)
{
    const struct ml_lua_response *res = ml_check_response(L, 1);
    const char *state = res->x == NULL                    ? "over"
                        : res->x->phase == ML_HTTP_UNSENT ? "not sent"
                        : res->x->phase == ML_HTTP_HEADED ? "being sent"
                                                          : "sent";
    lua_pushfstring(L, "http.response %d (%s)", status_of(res), state);
    return 1;
}

/* ---- for stdlib ---- */

/* core.fill(req, res, ...): a handler's results go into the response. */
int ml_http_core_fill(lua_State *L)
{
    ml_response_fill(L, 2, 3);
    return 0;
}

/* core.file(res, file, offset, length): one of io's files, open for reading, becomes the body. */
int ml_http_core_file(lua_State *L)
{
    struct ml_lua_response *res = ml_check_response(L, 1);
    luaL_checkudata(L, 2, LUA_FILEHANDLE);
    lua_Integer offset = luaL_checkinteger(L, 3), length = luaL_checkinteger(L, 4);
    luaL_argcheck(L, offset >= 0, 3, "offset must not be negative");
    luaL_argcheck(L, length >= 0, 4, "length must not be negative");
    if (res->x == NULL)
        return ml_push_exchange_over(L);
    check_unsent(L, res);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, ML_RESPONSE_BODY);
    res->kind = ML_BODY_FILE;
    res->is_text = false;
    res->offset = offset;
    res->length = length;
    return push_outcome(L, 0);
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
