/* moonlet.http.client.core: one connection of an HTTP client, for stdlib/moonlet/http/client/. */
#include "bindings/http/client.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/http/client_http2.h"
#include "bindings/http/client_object.h"
#include "bindings/http/client_send.h"
#include "bindings/http/headers.h"
#include "bindings/http/headers_methods.h"
#include "bindings/http/helpers.h"
#include "bindings/net/stream_object.h"
#include "http/client_exchange.h"
#include "http/coding.h"

#include <limits.h>
#include <string.h>

/* new(stream): an exchange over a connected stream. */
static int new_exchange(lua_State *L)
{
    struct ml_stream *stream = ml_check_stream(L, 1);
    struct ml_lua_http1_exchange *e = ml_push_object(L, ml_client_exchange_type, sizeof *e, 2);
    ml_http_client_init(&e->x, stream);
    e->base.x = &e->x;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, ML_CLIENT_STREAM);
    return 1;
}

static int exchange_gc(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    ml_client_drop_decoder(e);
    ml_buffer_release(&e->body);
    if (e->is_http2)
        ml_http2_request_release(&((struct ml_lua_http2_exchange *)e)->request);
    else if (e->x != NULL)
        ml_http_client_release(e->x);
    return 0;
}

/* ---- receiving ---- */

/* Pushes a copy of the fields, which lie in the input. False: a finalizer, run by the allocation,
 * closed the stream. */
static bool push_fields(lua_State *L, const struct ml_lua_client_exchange *e,
                        const struct ml_http_head *head, size_t size)
{
    struct ml_http_headers *headers =
        ml_http_push_new_headers(L, head->field_count, (uint32_t)size);
    if (!e->x->carrier->holds_head(e->x))
        return false;
    ml_http_headers_fill(headers, head, size);
    return true;
}

/* exchange:receive(timeout[, stops_at_continue]) -> status, headers, reason, version (10, 11, 20),
 * the size of the body. nil: the size is unknown; false: there is no body. */
static int exchange_receive(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    struct ml_http_client_exchange *x = e->x;
    ml_time deadline = ml_check_deadline(L, 2);
    bool stops = lua_toboolean(L, 3);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, x->carrier->receive(x, stops, deadline));
    if (error != 0)
        return ml_client_push_problem(L, e, error);
    const struct ml_http_head *head = &x->head;
    lua_pushinteger(L, head->status);
    if (!push_fields(L, e, head, x->head_size))
        return ml_client_push_problem(L, e, -ML_ECLOSED);
    lua_pushlstring(L, ml_http_at(head, head->reason), head->reason.size);
    x->carrier->consume_head(x);
    lua_pushinteger(L, head->version);
    if (head->body == ML_HTTP_NO_BODY)
        lua_pushboolean(L, 0);
    else if (head->body == ML_HTTP_SIZED)
        lua_pushinteger(L, head->content_length);
    else
        lua_pushnil(L);
    return 5;
}

/* exchange:decode(coding, limit) -> true; or nil, message, code. */
static int exchange_decode(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    size_t size;
    const char *name = luaL_checklstring(L, 2, &size);
    lua_Integer limit = luaL_checkinteger(L, 3);
    ml_client_drop_decoder(e);
    enum ml_coding coding = ml_coding_by_name(name, size);
    int error = coding == ML_CODING_UNKNOWN
                    ? -EOPNOTSUPP
                    : ml_decoder_new(&ml_lua_of(L)->io, coding, (uint64_t)limit, &e->decoder);
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* Call it at the end of the body: keeps its trailers in a user value. */
static void note_trailers(lua_State *L, struct ml_lua_client_exchange *e)
{
    const struct ml_http_head *trailers = &e->x->trailers;
    if (e->x->phase != ML_HTTP_CLIENT_OVER || trailers->field_count == 0 || e->x->head_size == 0)
        return;
    if (push_fields(L, e, trailers, e->x->head_size))
        lua_setiuservalue(L, 1, ML_CLIENT_TRAILERS);
    else
        lua_pop(L, 1);
    e->x->trailers.field_count = 0;
}

/* Decodes the available input to `out`, once. 0 or an error. Input that the decoder did not take
 * stays in e->rest. */
static int decode_some(struct ml_lua_client_exchange *e, struct ml_buffer *out)
{
    if (ml_buffer_reserve(out, ML_CLIENT_DECODED_PIECE) != 0)
        return -ENOMEM;
    struct ml_coding_step step = {ml_buffer_data(&e->rest), ml_buffer_size(&e->rest),
                                  ml_buffer_end(out), ML_CLIENT_DECODED_PIECE};
    int result = ml_decoder_feed(e->decoder, &step);
    ml_buffer_commit(out, ML_CLIENT_DECODED_PIECE - step.out_size);
    ml_buffer_consume(&e->rest, ml_buffer_size(&e->rest) - step.in_size);
    e->is_full = result == 1;
    if (result < 0)
        e->x->is_reusable = false;
    if (result == -EPROTO)
        e->x->problem = "its content is not of the coding that it names";
    return result < 0 ? result : 0;
}

/* Call it at the end of the body: whether its content is complete, too. An empty body has no
 * content. */
static int end_of_content(const struct ml_lua_client_exchange *e)
{
    bool is_whole = e->decoder == NULL || !e->has_content || ml_decoder_finish(e->decoder) == 0;
    return is_whole ? 1 : -ML_EEOF;
}

/* Appends one piece of the body to `out`, decoded if needed. 0; 1: the end; or an error. */
static int gather(struct ml_lua_client_exchange *e, struct ml_buffer *out, size_t max,
                  ml_time deadline)
{
    struct ml_http_client_exchange *x = e->x;
    struct ml_piece_of_input piece;
    if (e->is_full)
        return decode_some(e, out);
    if (e->decoder != NULL && max > ML_CLIENT_DECODED_PIECE)
        max = ML_CLIENT_DECODED_PIECE;
    int result = x->carrier->read(x, max, &piece, deadline);
    if (result != 0)
        return result == 1 ? end_of_content(e) : result;
    struct ml_buffer *to = e->decoder != NULL ? &e->rest : out;
    if (ml_buffer_reserve(to, piece.size) != 0)
        return -ENOMEM;
    memcpy(ml_buffer_end(to), piece.data, piece.size);
    ml_buffer_commit(to, piece.size);
    x->carrier->consume(x, &piece);
    e->has_content = true;
    return e->decoder != NULL ? decode_some(e, out) : 0;
}

/* Whether the whole body has come and is contiguous: the usual case, which saves a copy. */
static bool is_there(const struct ml_lua_client_exchange *e, size_t max)
{
    const struct ml_http_client_exchange *x = e->x;
    return e->decoder == NULL && x->phase == ML_HTTP_CLIENT_RECEIVING && x->pending == 0 &&
           x->head.body == ML_HTTP_SIZED && x->left > 0 && x->left <= max &&
           ml_buffer_size(&x->stream->in) >= x->left && ml_buffer_size(&e->body) == 0;
}

static int push_whole(lua_State *L, struct ml_lua_client_exchange *e, ml_time deadline)
{
    struct ml_piece_of_input piece;
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, e->x->carrier->read(e->x, SIZE_MAX, &piece, deadline));
    if (error != 0)
        return ml_client_push_problem(L, e, error);
    lua_pushlstring(L, piece.data, piece.size);
    e->x->carrier->consume(e->x, &piece);
    e->x->carrier->read(e->x, 1, &piece, deadline); /* makes the carrier note the end */
    return 1;
}

static int too_large(lua_State *L, struct ml_lua_client_exchange *e)
{
    e->x->problem = "its body is larger than max_body";
    e->x->is_reusable = false;
    ml_buffer_release(&e->body);
    return ml_client_push_problem(L, e, -EMSGSIZE);
}

/* exchange:read_all(max, idle, total) -> string; or nil, message, code. idle: seconds for each
 * wait; total: for all waits. */
static int exchange_read_all(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    size_t max = (size_t)luaL_checkinteger(L, 2);
    ml_time deadline = ml_check_deadline(L, 4), idle;
    if (is_there(e, max))
        return push_whole(L, e, deadline);
    if (e->x->head.body == ML_HTTP_SIZED && e->decoder == NULL && e->x->left > max)
        return too_large(L, e);
    int result = 0;
    while (result == 0 && ml_buffer_size(&e->body) <= max) {
        idle = ml_check_deadline(L, 3);
        ml_blocking_begin(L);
        result =
            ml_blocking_end(L, gather(e, &e->body, ML_CLIENT_PIECE,
                                      idle != ML_NEVER_WAIT && idle < deadline ? idle : deadline));
    }
    bool is_too_large = result == -EMSGSIZE && e->x->problem == NULL; /* else the head */
    if (is_too_large || (result >= 0 && ml_buffer_size(&e->body) > max))
        return too_large(L, e);
    if (result < 0)
        return ml_client_push_problem(L, e, result);
    lua_pushlstring(L, ml_buffer_data(&e->body), ml_buffer_size(&e->body));
    ml_buffer_release(&e->body);
    note_trailers(L, e);
    return 1;
}

/*
 * exchange:read(max, timeout)
 *
 * - -> string;
 * - -> nil at the end;
 * - -> nil, message, code.
 */
static int exchange_read(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    size_t max = (size_t)luaL_optinteger(L, 2, ML_CLIENT_PIECE);
    ml_time deadline = ml_check_deadline(L, 3);
    int result = 0;
    while (result == 0 && ml_buffer_size(&e->body) == 0) {
        ml_blocking_begin(L);
        result = ml_blocking_end(L, gather(e, &e->body, max, deadline));
    }
    if (result == -EMSGSIZE && e->x->problem == NULL)
        return too_large(L, e);
    if (result < 0)
        return ml_client_push_problem(L, e, result);
    if (result == 1)
        note_trailers(L, e);
    size_t size = ml_buffer_size(&e->body);
    if (size == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, ml_buffer_data(&e->body), size < max ? size : max);
    ml_buffer_consume(&e->body, size < max ? size : max);
    return 1;
}

static int exchange_trailers(lua_State *L)
{
    ml_check_client_exchange(L);
    lua_getiuservalue(L, 1, ML_CLIENT_TRAILERS);
    return 1;
}

/* exchange:finish() -> whether the connection can serve again. Call it after the end of the
 * body. */
static int exchange_finish(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    ml_client_drop_decoder(e);
    ml_buffer_release(&e->body);
    lua_pushboolean(L, e->x->carrier->finish(e->x));
    return 1;
}

/* exchange:is_lasting(): whether the connection goes on behind the response, as far as is known. */
static int exchange_is_lasting(lua_State *L)
{
    lua_pushboolean(L, ml_check_client_exchange(L)->x->is_reusable);
    return 1;
}

/* exchange:unsent() -> bytes: more than 0: the request is not through, though all of it was given,
 * and drop() would cut it off. Never waits. */
static int exchange_unsent(lua_State *L)
{
    const struct ml_http_client_exchange *x = ml_check_client_exchange(L)->x;
    lua_pushinteger(L, x->carrier->unsent != NULL ? (lua_Integer)x->carrier->unsent(x) : 0);
    return 1;
}

/* exchange:drop(): the rest of the response is not read. Over HTTP/2 this resets the stream, unless
 * it has ended. Never waits. */
static int exchange_drop(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    e->x->carrier->drop(e->x);
    return 0;
}

/* exchange:advice() -> whether the server says that it has not processed the request, whether it
 * demands HTTP/1.1 for it. */
static int exchange_advice(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    lua_pushboolean(L, e->x->is_refused);
    lua_pushboolean(L, e->x->wants_http1);
    return 2;
}

/* exchange:is_idle(): whether an idle connection is still usable. Never waits. */
static int exchange_is_idle(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    lua_pushnil(L);
    lua_setiuservalue(L, 1, ML_CLIENT_TRAILERS);
    lua_pushboolean(L, e->x->carrier->is_idle(e->x));
    return 1;
}

static int exchange_stream(lua_State *L)
{
    ml_check_client_exchange(L);
    lua_getiuservalue(L, 1, ML_CLIENT_STREAM);
    return 1;
}

static struct ml_http2_request *check_http2_request(lua_State *L)
{
    struct ml_lua_client_exchange *e = ml_check_client_exchange(L);
    luaL_argcheck(L, e->is_http2, 1, "HTTP/2 expected");
    return &((struct ml_lua_http2_exchange *)e)->request;
}

/* exchange:tunnel() -> the stream behind the answer to connect(), while the exchange lives. */
static int exchange_tunnel(lua_State *L)
{
    struct ml_http2_request *r = check_http2_request(L);
    ml_http2_request_tunnel(r, ml_push_stream(L));
    return 1;
}

/* exchange:await_tunnel(): waits until that stream was closed. */
static int exchange_await_tunnel(lua_State *L)
{
    struct ml_http2_request *r = check_http2_request(L);
    ml_blocking_begin(L);
    ml_blocking_end(L, ml_http2_request_await_tunnel(r, ML_FOREVER));
    return 0;
}

/* codings() -> "gzip, deflate": the codings that can be decoded here. */
static int codings(lua_State *L)
{
    static const enum ml_coding all[] = {ML_CODING_GZIP, ML_CODING_DEFLATE, ML_CODING_BR,
                                         ML_CODING_ZSTD};
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (size_t i = 0, count = 0; i < sizeof all / sizeof *all; i++)
        if (ml_coding_can_decode(&ml_lua_of(L)->io, all[i])) {
            luaL_addstring(&buffer, count++ > 0 ? ", " : "");
            luaL_addstring(&buffer, ml_coding_name(all[i]));
        }
    luaL_pushresult(&buffer);
    return 1;
}

int ml_open_http_client(lua_State *L)
{
    static const luaL_Reg methods[] = {{"send", ml_client_exchange_send},
                                       {"connect", ml_client_exchange_connect},
                                       {"write", ml_client_exchange_write},
                                       {"end_body", ml_client_exchange_end_body},
                                       {"receive", exchange_receive},
                                       {"decode", exchange_decode},
                                       {"read", exchange_read},
                                       {"read_all", exchange_read_all},
                                       {"trailers", exchange_trailers},
                                       {"finish", exchange_finish},
                                       {"is_lasting", exchange_is_lasting},
                                       {"unsent", exchange_unsent},
                                       {"is_idle", exchange_is_idle},
                                       {"drop", exchange_drop},
                                       {"advice", exchange_advice},
                                       {"stream", exchange_stream},
                                       {"tunnel", exchange_tunnel},
                                       {"await_tunnel", exchange_await_tunnel},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", exchange_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", new_exchange},
                                         {"http2", ml_client_new_http2},
                                         {"has_http2", ml_client_has_http2},
                                         {"codings", codings},
                                         {"cookie_date", ml_http_core_cookie_date},
                                         {NULL, NULL}};
    ml_open_client_http2_type(L);
    ml_open_object_type(L, ml_client_exchange_type, methods, metamethods);
    ml_open_http_headers_type(L);
    luaL_newlib(L, functions);
    return 1;
}
