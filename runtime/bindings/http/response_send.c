/* Answers go out: heads, whole bodies, files, the ends of streamed ones. */
#include "bindings/http/response_send.h"

#include "bindings/data/json_encode.h"
#include "bindings/data/json_values.h"
#include "bindings/http/headers.h"
#include "bindings/http/response_body.h"
#include "bindings/http/response_coding.h"
#include "bindings/http/response_fill.h"
#include "http/answer.h"

#include <lauxlib.h>
#include <string.h>

/* Fields that are added to those of a script: its type, and those of a coding. */
enum { MORE_PAIRS = 1 + ML_CODED_PAIRS };

struct ml_http_pair *ml_response_push_pairs(lua_State *L, const struct ml_http_headers *headers,
                                            int *count)
{
    struct ml_http_line line;
    size_t most = headers != NULL ? headers->count : 0;
    struct ml_http_pair *pairs = lua_newuserdatauv(L, (most + MORE_PAIRS) * sizeof *pairs, 0);
    *count = 0;
    for (size_t at = 0; headers != NULL && ml_http_headers_next(headers, &at, &line);)
        pairs[(*count)++] = (struct ml_http_pair){line.name, line.value, (uint32_t)line.name_size,
                                                  (uint32_t)line.value_size};
    return pairs;
}

/* ---- heads ---- */

/* The content-length that the script has set; -1: none. */
static int64_t given_length(lua_State *L, const struct ml_http_headers *headers)
{
    static const char name[] = "content-length";
    size_t size;
    const char *text = ml_http_headers_find(headers, name, sizeof name - 1, &size);
    int64_t length = text != NULL ? 0 : -1;
    bool is_number = text == NULL || (size > 0 && size <= 18);
    for (size_t i = 0; text != NULL && is_number && i < size; i++) {
        is_number = text[i] >= '0' && text[i] <= '9';
        length = 10 * length + (text[i] - '0');
    }
    if (!is_number)
        luaL_error(L, "the header field 'content-length' of the answer is no number of bytes");
    return length;
}

static const char type_name[] = "content-type";

/* An answer; where the script has set no fields, nothing is allocated for those that are ours. */
struct outgoing {
    struct ml_http_answer answer;
    struct ml_http_pair *pairs; /* the answer's: there is room for more */
    struct ml_http_pair own[MORE_PAIRS];
};

static void add_fields(lua_State *L, int index, struct outgoing *out)
{
    size_t size;
    lua_getiuservalue(L, index, ML_RESPONSE_HEADERS);
    struct ml_http_headers *headers = ml_http_test_headers(L, -1);
    struct ml_http_answer *answer = &out->answer;
    headers->is_sent = true;
    bool has_type = ml_http_headers_find(headers, type_name, sizeof type_name - 1, &size) != NULL;
    int types = answer->pair_count;
    struct ml_http_pair *pairs = ml_response_push_pairs(L, headers, &answer->pair_count);
    if (types > 0 && !has_type)
        pairs[answer->pair_count++] = out->own[0];
    answer->pairs = out->pairs = pairs;
    answer->length = given_length(L, headers);
}

/* Of bodies: not known; not to be coded. */
enum { SIZE_UNKNOWN = -1, SIZE_OF_FILE = -2 };

/* Makes the head of an answer with a body of that size; leaves three values on the stack that keep
 * it alive. The headers cannot be changed from now on. */
static void make_answer(lua_State *L, int index, struct ml_lua_response *res, int status,
                        int64_t size, struct outgoing *out)
{
    bool has_type = res->type != NULL && !ml_http_status_is_bare(status);
    if (has_type)
        out->own[0] = (struct ml_http_pair){type_name, res->type, sizeof type_name - 1,
                                            (uint32_t)strlen(res->type)};
    out->pairs = out->own;
    out->answer = (struct ml_http_answer){
        .status = status, .pairs = out->own, .pair_count = has_type, .length = -1};
    if (res->has_headers) {
        add_fields(L, index, out);
    } else {
        lua_pushnil(L);
        lua_pushnil(L);
    }
    if (res->x->compresses && size != SIZE_OF_FILE)
        ml_response_choose_coding(L, index, res, &out->answer, out->pairs, size);
    else
        lua_pushnil(L);
    if (res->is_coded && size == SIZE_UNKNOWN)
        out->answer.length = -1;
}

/* A body of that size: raises if the script has promised another one. */
static void check_length(lua_State *L, struct ml_http_answer *answer, int64_t size)
{
    if (answer->length >= 0 && answer->length != size)
        luaL_error(L, "the body has %I bytes, and the header field 'content-length' says %I",
                   (LUAI_UACINT)size, (LUAI_UACINT)answer->length);
    answer->length = size;
}

int ml_response_status(const struct ml_lua_response *res)
{
    return res->status != 0 ? res->status : res->kind != ML_BODY_UNSAID ? 200 : 204;
}

/* Sends the head of an answer whose body is streamed. */
int ml_response_send_head(lua_State *L, int index, struct ml_lua_response *res)
{
    struct ml_http_exchange *x = res->x;
    struct outgoing out;
    int status = res->status != 0 ? res->status : 200;
    if (x->phase != ML_HTTP_UNSENT)
        return 0;
    if (ml_http_status_is_bare(status))
        return luaL_error(L, "an answer of status %d has no body", status);
    make_answer(L, index, res, status, SIZE_UNKNOWN, &out);
    ml_carrier_begin(L, x);
    int error = ml_carrier_end(L, x, x->carrier->send_head(x, &out.answer));
    lua_pop(L, 3);
    return error;
}

/* ---- whole answers ---- */

static void send_text(lua_State *L, int index, struct ml_lua_response *res, const char *text,
                      size_t size)
{
    struct ml_http_exchange *x = res->x;
    struct iovec piece = {.iov_base = (void *)text, .iov_len = size};
    struct outgoing out;
    int status = ml_response_status(res), top = lua_gettop(L);
    if (ml_http_status_is_bare(status) && piece.iov_len > 0)
        luaL_error(L, "an answer of status %d has no body", status);
    make_answer(L, index, res, status, (int64_t)piece.iov_len, &out);
    /* HEAD may be told of a body that was not made; 304, which a cache or an upstream has given,
     * too, but no length is sent with it. */
    if (ml_http_status_is_bare(status))
        out.answer.length = 0;
    else if (!x->is_head || piece.iov_len > 0 || out.answer.length < 0)
        check_length(L, &out.answer, (int64_t)piece.iov_len);
    if (res->is_coded) {
        ml_response_push_coded_whole(L, index, x, piece.iov_base, piece.iov_len);
        piece.iov_base = (void *)lua_tolstring(L, -1, &piece.iov_len);
        out.answer.length = (int64_t)piece.iov_len;
    }
    ml_carrier_begin(L, x);
    ml_carrier_end(L, x, x->carrier->send_whole(x, &out.answer, &piece, 1));
    lua_settop(L, top);
}

static void send_file(lua_State *L, int index, struct ml_lua_response *res)
{
    struct outgoing out;
    make_answer(L, index, res, ml_response_status(res), SIZE_OF_FILE, &out);
    check_length(L, &out.answer, res->length);
    ml_response_send_file(L, index, res, &out.answer);
    lua_pop(L, 3);
}

/* ---- streamed answers ---- */

int ml_response_send_body(lua_State *L, int index, struct ml_lua_response *res, const char *data,
                          size_t size, enum ml_coding_mode mode)
{
    struct ml_http_exchange *x = res->x;
    struct iovec piece = {.iov_base = (void *)data, .iov_len = size};
    if (!res->is_coded) {
        lua_pushnil(L);
    } else {
        ml_response_push_coded(L, index, data, size, mode);
        piece.iov_base = (void *)lua_tolstring(L, -1, &piece.iov_len);
    }
    ml_carrier_begin(L, x);
    int error = ml_carrier_end(L, x, x->carrier->send_body(x, &piece, 1));
    lua_pop(L, 1);
    return error;
}

/* The end of a body that was streamed, with what trailers there are. */
static int send_end(lua_State *L, int index, struct ml_lua_response *res)
{
    struct ml_http_exchange *x = res->x;
    int count = 0, error = 0;
    const struct ml_http_pair *pairs = NULL;
    if (res->is_coded)
        error = ml_response_send_body(L, index, res, "", 0, ML_CODING_END);
    if (error != 0)
        return error;
    if (res->has_trailers) {
        lua_getiuservalue(L, index, ML_RESPONSE_TRAILERS);
        pairs = ml_response_push_pairs(L, ml_http_test_headers(L, -1), &count);
    }
    ml_carrier_begin(L, x);
    return ml_carrier_end(L, x, x->carrier->end(x, pairs, count));
}

/* An answer with trailers is streamed, even if its body is known. */
static void send_with_trailers(lua_State *L, int index, struct ml_lua_response *res)
{
    const char *text = "";
    size_t size = 0;
    int error = ml_response_send_head(L, index, res);
    if (res->kind == ML_BODY_TEXT) {
        lua_getiuservalue(L, index, ML_RESPONSE_BODY);
        text = lua_tolstring(L, -1, &size);
    }
    if (error == 0 && size > 0)
        error = ml_response_send_body(L, index, res, text, size, ML_CODING_MORE);
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
        const char *text = "";
        size_t size = 0;
        if (res->kind == ML_BODY_TEXT) {
            lua_getiuservalue(L, index, ML_RESPONSE_BODY);
            text = lua_tolstring(L, -1, &size);
        }
        send_text(L, index, res, text, size);
    }
    lua_settop(L, top);
}

/* Nothing of the answer is known but its status and its headers. */
static bool is_unsaid(const struct ml_lua_response *res)
{
    return res->kind == ML_BODY_UNSAID && !res->has_trailers && res->x != NULL &&
           res->x->phase == ML_HTTP_UNSENT;
}

static void send_json(lua_State *L, void *context, const char *text, size_t size)
{
    struct ml_lua_response *res = context;
    res->kind = ML_BODY_TEXT;
    res->type = ML_RESPONSE_JSON;
    send_text(L, 2, res, text, size);
}

/* The usual answer, a string or a table alone, is sent as it stands on the stack; of a table no
 * string is made. */
static void send_usual(lua_State *L, struct ml_lua_response *res)
{
    static const struct ml_json_writing how = {.max_depth = ML_JSON_DEPTH};
    size_t size;
    if (lua_type(L, 3) == LUA_TTABLE) {
        if (ml_response_is_error(L, 3))
            lua_error(L);
        ml_json_encode_for(L, 3, how, send_json, res);
    } else {
        res->kind = ML_BODY_TEXT;
        res->type = ML_RESPONSE_TEXT;
        const char *text = lua_tolstring(L, 3, &size);
        send_text(L, 2, res, text, size);
    }
}

bool ml_response_send_plain(lua_State *L, int index, int text, int *error)
{
    struct ml_lua_response *res = ml_to_object(L, index);
    struct ml_http_exchange *x = res->x;
    int status = res->status != 0 ? res->status : 200;
    if (lua_type(L, text) != LUA_TSTRING || !is_unsaid(res) || res->has_headers || x->compresses ||
        ml_http_status_is_bare(status) || !ml_blocking_begin_quietly(L))
        return false;
    struct ml_http_pair type = {type_name, ML_RESPONSE_TEXT, sizeof type_name - 1,
                                sizeof ML_RESPONSE_TEXT - 1};
    struct ml_http_answer answer = {.status = status, .pairs = &type, .pair_count = 1};
    struct iovec piece;
    piece.iov_base = (void *)lua_tolstring(L, text, &piece.iov_len);
    answer.length = (int64_t)piece.iov_len;
    ml_http_exchange_enter(x);
    *error = x->carrier->send_whole(x, &answer, &piece, 1);
    ml_http_exchange_leave(x);
    ml_blocking_finish(L);
    if (ml_likely(*error != -ECANCELED && *error != -ENOMEM && *error != -ECHILD))
        *error = 0;
    return true;
}

void ml_respond(lua_State *L)
{
    struct ml_lua_response *res = ml_to_object(L, 2);
    bool is_usual = lua_gettop(L) == 3 &&
                    (lua_type(L, 3) == LUA_TSTRING || lua_type(L, 3) == LUA_TTABLE) &&
                    is_unsaid(res);
    if (is_usual) {
        send_usual(L, res);
    } else {
        ml_response_fill(L, 2, 3);
        ml_response_finish(L, 2);
    }
}
