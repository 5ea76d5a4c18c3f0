/*** @submodule moonlet.websocket */
/* WebSockets as scripts see them; the handshakes are in stdlib/moonlet/websocket.lua. */
#include "bindings/http/websocket.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/http/headers_methods.h"
#include "bindings/http/ws_handshake.h"
#include "bindings/http/ws_tasks.h"
#include "bindings/net/stream_object.h"
#include "bindings/sync/select_source.h"
#include "http/ws_close.h"
#include "http/ws_receive.h"
#include "http/ws_send.h"
#include "http/ws_worker.h"

#include <string.h>

static const char websocket_type[] = "websocket";

/* User values. */
enum { STREAM = 1, VALUES = 1 };

/* The time limit of ws:finish() without an argument. */
#define FINISH_SPAN (10 * ML_SECOND)

static struct ml_websocket *check_websocket(lua_State *L)
{
    return ml_check_object(L, 1, websocket_type);
}

/* ---- results ---- */

static int push_problem(lua_State *L, const struct ml_websocket *ws, int error)
{
    ml_push_stream_failure(L, ws->stream, error);
    const char *why = error == -ML_EEOF    ? "the connection ended without a Close"
                      : error == ws->error ? ws->why
                                           : NULL;
    if (why != NULL) {
        lua_pushstring(L, why);
        lua_replace(L, -3);
    }
    return 3;
}

static int push_outcome(lua_State *L, const struct ml_websocket *ws, int error)
{
    if (error != 0)
        return push_problem(L, ws, error);
    lua_pushboolean(L, 1);
    return 1;
}

static __attribute__((noinline)) int push_received(lua_State *L, struct ml_websocket *ws,
                                                   int result)
{
    if (result < 0)
        return push_problem(L, ws, result);
    if (result == 1) {
        lua_pushnil(L);
        return 1;
    }
    struct ml_websocket_message message = ml_websocket_message(ws);
    lua_pushlstring(L, message.data, message.size);
    lua_pushstring(L, message.kind == ML_WS_TEXT ? "text" : "binary");
    ml_websocket_take(ws);
    return 2;
}

/* Receives on the WebSocket at `index` and pushes the results. Returns their number. */
static int receive(lua_State *L, struct ml_websocket *ws, int index, ml_time deadline)
{
    ml_blocking_begin(L);
    int result = ml_websocket_receive(ws, deadline);
    ml_blocking_end(L, 0);
    ml_ws_tend(L, ws, index);
    return push_received(L, ws, ml_blocking_end(L, result));
}

/* ---- methods ---- */

/***
A WebSocket, of a client or a server. It prints as its address and state; `<close>` closes it.
@object Websocket
*/

/***
The next message. While a task is in this call, it also answers pings.
@function Websocket:receive
@tparam[opt] number timeout seconds; 0: never waits
@treturn string its bytes; nil: the peer has closed; or nil, message, code: "CLOSED": this end has
closed; "EPROTO": the peer broke the rules; "EILSEQ": its text is not UTF-8; "EMSGSIZE": its message
is too long; "EEOF", "ECONNABORTED": the connection is lost; "EBUSY": another task receives;
"ETIMEDOUT"
@treturn string "text" or "binary"
*/
static int ws_receive(lua_State *L)
{
    struct ml_websocket *ws = check_websocket(L);
    return receive(L, ws, 1, ml_check_deadline(L, 2));
}

static bool is_text(const char *data, size_t size)
{
    struct ml_utf8 u = {0};
    return ml_utf8_check(&u, data, size) && ml_utf8_is_whole(&u);
}

/***
Sends a message. Waits only while `max_queue` bytes are queued. After a timeout or a cancellation
nothing of it was sent. Any number of tasks may send.
@function Websocket:send
@tparam string data
@tparam[opt="text"] string kind "text", which must be UTF-8, or "binary"
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, message, code
*/
static int ws_send(lua_State *L)
{
    static const char *const kinds[] = {"text", "binary", NULL};
    struct ml_websocket *ws = check_websocket(L);
    size_t size;
    const char *data = luaL_checklstring(L, 2, &size);
    bool is_binary = luaL_checkoption(L, 3, "text", kinds) == 1;
    ml_time deadline = ml_check_deadline(L, 4);
    luaL_argcheck(L, is_binary || is_text(data, size), 2, "text must be UTF-8; send it as binary");
    ml_blocking_begin(L);
    int error = ml_websocket_send(ws, is_binary ? ML_WS_BINARY : ML_WS_TEXT, data, size, deadline);
    ml_blocking_end(L, 0);
    ml_ws_tend(L, ws, 1);
    return push_outcome(L, ws, ml_blocking_end(L, error));
}

/***
Sends a ping. Never waits. The peer's answer does not come as a message; `ping_interval` checks for
it.
@function Websocket:ping
@tparam[opt=""] string data at most 125 bytes
@treturn boolean true; or nil, message, code
*/
static int ws_ping(lua_State *L)
{
    struct ml_websocket *ws = check_websocket(L);
    size_t size;
    const char *data = luaL_optlstring(L, 2, "", &size);
    luaL_argcheck(L, size <= ML_WS_CONTROL_MAX, 2, "at most 125 bytes");
    int error = ml_websocket_ping(ws, data, size);
    ml_ws_tend(L, ws, 1);
    if (error == -ENOMEM)
        return luaL_error(L, "not enough memory");
    return push_outcome(L, ws, error);
}

/* Reads code and reason from index 2 on, and closes with them. */
static void close_as_said(lua_State *L, struct ml_websocket *ws)
{
    size_t size;
    lua_Integer code = luaL_optinteger(L, 2, ML_WS_NORMAL);
    const char *reason = luaL_optlstring(L, 3, "", &size);
    luaL_argcheck(L, code > 0 && code <= 4999 && ml_ws_code_is_valid((unsigned)code), 2,
                  "a code that may be sent expected: 1000, 1001, ... or from 3000 to 4999");
    luaL_argcheck(L, size <= ML_WS_CONTROL_MAX - 2, 3, "at most 123 bytes");
    luaL_argcheck(L, is_text(reason, size), 3, "the reason must be UTF-8");
    ml_websocket_close(ws, (unsigned)code, reason, size);
    ml_ws_tend(L, ws, 1);
}

/***
Closes: tells the peer, and leaves the wait for its answer, at most ten seconds, to a task of its
own. Idempotent; never waits.
@function Websocket:close
@tparam[opt=1000] integer code
@tparam[opt=""] string reason at most 123 bytes
*/
static int ws_close(lua_State *L)
{
    close_as_said(L, check_websocket(L));
    return 0;
}

/***
Closes, if this end has not, and waits until the connection has ended.
@function Websocket:finish
@tparam[opt=10] number s seconds, after which the connection is cut
@treturn boolean true: the peer has closed, too; or nil, message, code
*/
static int ws_finish(lua_State *L)
{
    struct ml_websocket *ws = check_websocket(L);
    ml_time deadline = ml_time_after(ml_hub_now(&ml_lua_of(L)->hub), FINISH_SPAN);
    if (!lua_isnoneornil(L, 2))
        deadline = ml_check_deadline(L, 2);
    if (deadline != ML_NEVER_WAIT)
        ml_blocking_enter(L, deadline);
    ml_websocket_close(ws, ML_WS_NORMAL, NULL, 0);
    ml_ws_tend(L, ws, 1);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_websocket_wait_end(ws, deadline));
    if (error == -ETIMEDOUT)
        ml_websocket_release(ws);
    if (error == 0 && !ws->close_received)
        error = ws->error != 0 ? ws->error : -ML_ECLOSED;
    return push_outcome(L, ws, error);
}

/***
Returns how it was closed, by the end that was first. Never waits.
@function Websocket:closed
@treturn integer the code: 1005: none was given; 1006: the connection was lost; nil while it is open
@treturn string the reason
*/
static int ws_closed(lua_State *L)
{
    const struct ml_websocket *ws = check_websocket(L);
    if (ws->code == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, ws->code);
    lua_pushlstring(L, ws->reason != NULL ? ws->reason : "", ws->reason_size);
    return 2;
}

/* Upvalue: the WebSocket. */
static int next_message(lua_State *L)
{
    int index = lua_upvalueindex(1);
    int count = receive(L, ml_to_object(L, index), index, ML_FOREVER);
    if (count < 3) /* a message, or a clean end */
        return count;
    if (strcmp(lua_tostring(L, -1), ml_error_name(ML_ECLOSED)) != 0)
        return ml_raise_failure(L);
    lua_pushnil(L);
    return 1;
}

/***
Iterates over messages. The loop ends when either end has closed cleanly; other failures raise. May
wait.
@function Websocket:messages
@treturn function that returns data and kind
@usage for text in ws:messages() do ws:send(text) end
*/
static int ws_messages(lua_State *L)
{
    check_websocket(L);
    lua_settop(L, 1);
    lua_pushcclosure(L, next_message, 1);
    return 1;
}

/* __close(ws, error) */
static int close_scope(lua_State *L)
{
    struct ml_websocket *ws = check_websocket(L);
    unsigned code = lua_isnoneornil(L, 2)      ? ML_WS_NORMAL
                    : ml_is_cancellation(L, 2) ? ML_WS_GOING_AWAY
                                               : ML_WS_INTERNAL_ERROR;
    ml_websocket_close(ws, code, NULL, 0);
    ml_ws_tend(L, ws, 1);
    return 0;
}

static int collect(lua_State *L)
{
    struct ml_websocket *ws = check_websocket(L);
    if (ws->stream == NULL)
        return 0;
    if (ws->code == 0)
        ml_warn_unclosed(L, ws);
    ml_websocket_destroy(ws);
    return 0;
}

static int to_string(lua_State *L)
{
    const struct ml_websocket *ws = check_websocket(L);
    if (ws->code == 0)
        lua_pushfstring(L, "websocket (open, %s)", ws->options.is_client ? "client" : "server");
    else
        lua_pushfstring(L, "websocket (closed, %d)", (int)ws->code);
    return 1;
}

/* ---- in select ---- */

static int attempt_to_receive(lua_State *L, int index)
{
    return ml_websocket_look(ml_to_object(L, index)) == -EAGAIN ? -EAGAIN : 0;
}

static int push_selected(lua_State *L, int index)
{
    lua_pushcfunction(L, ws_receive);
    lua_pushvalue(L, index);
    lua_pushinteger(L, 0);
    int top = lua_gettop(L) - 3;
    lua_call(L, 2, LUA_MULTRET);
    return lua_gettop(L) - top;
}

static int watch(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                 ml_time *again)
{
    (void)lua;
    (void)is_short;
    return ml_websocket_watch(object, waiter, again);
}

static void unwatch(void *object)
{
    ml_websocket_unwatch(object);
}

static const struct ml_select_source select_source = {.type = websocket_type,
                                                      .attempt = attempt_to_receive,
                                                      .finish = push_selected,
                                                      .watch = watch,
                                                      .unwatch = unwatch};

/* ---- the module ---- */

/* Enables compression if the handshake's answer at `index` says so. */
static void compress_as_agreed(lua_State *L, struct ml_websocket *ws, int options, int index)
{
    struct ml_ws_compression c;
    struct ml_ws_terms terms;
    size_t size;
    const char *answer = luaL_optlstring(L, index, "", &size);
    ml_ws_check_compression(L, options, &c);
    if (size == 0)
        return;
    int error = ml_ws_read_terms(answer, size, &terms);
    if (error == 0)
        error = ml_websocket_compress(ws, &c, &terms);
    if (error == 0)
        return;
    ml_websocket_release(ws);
    luaL_error(L, error == -ENOMEM ? "not enough memory" : "no compression was agreed on");
}

/* open(stream, options, is_client[, extensions]) -> WebSocket. The handshake on `stream` is done;
 * extensions: that field of its answer. */
static int open(lua_State *L)
{
    struct ml_stream *stream = ml_check_stream(L, 1);
    struct ml_websocket_options options = ml_ws_check_options(L, 2);
    options.is_client = lua_toboolean(L, 3);
    lua_settop(L, 4);
    struct ml_websocket *ws = ml_push_object(L, websocket_type, sizeof *ws, VALUES);
    ml_websocket_open(ws, stream, &options);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, STREAM);
    ml_object_note_source_line(L, ws);
    compress_as_agreed(L, ws, 2, 4);
    ml_ws_begin_pings(L, ws);
    return 1;
}

int ml_open_websocket(lua_State *L)
{
    static const luaL_Reg methods[] = {{"receive", ws_receive},   {"send", ws_send},
                                       {"ping", ws_ping},         {"close", ws_close},
                                       {"finish", ws_finish},     {"closed", ws_closed},
                                       {"messages", ws_messages}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", collect}, {"__close", close_scope}, {"__tostring", to_string}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"open", open}, {NULL, NULL}};
    ml_open_object_type(L, websocket_type, methods, metamethods);
    ml_open_http_headers_type(L);
    ml_lua_of(L)->select.sources[ML_SELECT_RECEIVE] = &select_source;
    ml_ws_open_pings(L);
    luaL_newlib(L, functions);
    ml_ws_add_handshake(L);
    return 1;
}
