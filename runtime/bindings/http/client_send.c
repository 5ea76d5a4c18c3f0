/* Requests of an HTTP client, as they are sent. */
#include "bindings/http/client_send.h"

#include "bindings/core/blocking.h"
#include "bindings/core/time_limit.h"
#include "bindings/http/client_object.h"
#include "bindings/http/headers.h"
#include "http/syntax.h"

#include <string.h>

/* Reads a line of a headers object as a field of a request. */
static bool next_field(const void *fields, size_t *at, struct ml_http_client_field *field)
{
    struct ml_http_line line;
    if (!ml_http_headers_next(fields, at, &line))
        return false;
    *field = (struct ml_http_client_field){line.name, line.value, line.name_size, line.value_size};
    return true;
}

static bool is_target(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
            return false;
    return size > 0;
}

/* The body at `index`: nil: none; a string; its size; or true: it comes in parts. */
static void read_body_kind(lua_State *L, int index, struct ml_http_client_request *request,
                           struct iovec *piece)
{
    if (lua_isnoneornil(L, index))
        request->body = ML_HTTP_CLIENT_NOTHING;
    else if (lua_isboolean(L, index))
        request->body = ML_HTTP_CLIENT_STREAMED;
    else {
        request->body = ML_HTTP_CLIENT_SIZED;
        if (lua_type(L, index) == LUA_TSTRING) {
            size_t size;
            piece->iov_base = (void *)lua_tolstring(L, index, &size);
            piece->iov_len = request->length = size;
        } else
            request->length = (uint64_t)luaL_checkinteger(L, index);
    }
}

/*
 * exchange:send(method, target, headers, body, timeout)
 *
 * - -> true;
 * - -> nil, message, code, whether any byte may have been sent.
 */
int ml_client_exchange_send(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    struct ml_http_client_request request = {.next = next_field};
    struct iovec piece = {0};
    request.method = luaL_checklstring(L, 2, &request.method_size);
    request.target = luaL_checklstring(L, 3, &request.target_size);
    luaL_argcheck(L, ml_http_is_token(request.method, request.method_size), 2,
                  "the method must be a token");
    luaL_argcheck(L, is_target(request.target, request.target_size), 3,
                  "the target must not contain spaces and control characters");
    request.fields = ml_http_check_headers(L, 4);
    read_body_kind(L, 5, &request, &piece);
    ml_time deadline = ml_check_deadline(L, 6);
    ml_client_drop_decoder(e);
    ml_buffer_release(&e->body);
    ml_blocking_begin(L);
    int error = ml_blocking_end(
        L, e->x->carrier->send(e->x, &request, &piece, piece.iov_len > 0 ? 1 : 0, deadline));
    if (error == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    ml_client_push_problem(L, e, error);
    lua_pushboolean(L, e->x->sent > 0);
    lua_replace(L, -2);
    return 4;
}

/* exchange:connect(target, headers, timeout): asks a server of HTTP/2 for a WebSocket (RFC 8441).
 * As send(). */
int ml_client_exchange_connect(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    struct ml_http_client_request request = {.method = "CONNECT",
                                             .method_size = 7,
                                             .protocol = "websocket",
                                             .body = ML_HTTP_CLIENT_STREAMED,
                                             .next = next_field};
    request.target = luaL_checklstring(L, 2, &request.target_size);
    luaL_argcheck(L, is_target(request.target, request.target_size), 2,
                  "the target must not contain spaces and control characters");
    request.fields = ml_http_check_headers(L, 3);
    ml_time deadline = ml_check_deadline(L, 4);
    luaL_argcheck(L, e->is_http2, 1, "HTTP/2 expected");
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, e->x->carrier->send(e->x, &request, NULL, 0, deadline));
    lua_pushboolean(L, error == 0);
    return error == 0 ? 1 : ml_client_push_problem(L, e, error);
}

/* exchange:write(data, timeout) -> true; or nil, message, code. */
int ml_client_exchange_write(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    struct iovec piece;
    piece.iov_base = (void *)luaL_checklstring(L, 2, &piece.iov_len);
    ml_time deadline = ml_check_deadline(L, 3);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, e->x->carrier->write(e->x, &piece, 1, deadline));
    if (error == -EPROTO)
        e->x->problem = NULL;
    lua_pushboolean(L, error == 0);
    return error == 0 ? 1 : ml_client_push_problem(L, e, error);
}

/* exchange:end_body(timeout) -> true; or nil, message, code. "EPROTO": the body is shorter than its
 * announced size. */
int ml_client_exchange_end_body(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    ml_time deadline = ml_check_deadline(L, 2);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, e->x->carrier->end(e->x, deadline));
    lua_pushboolean(L, error == 0);
    return error == 0 ? 1 : ml_client_push_problem(L, e, error);
}
