/*** @submodule moonlet.net */
/* Streams as scripts see them; reading is in bindings/net/read.c, writing in bindings/net/write.c.
 */
#include "bindings/net/stream.h"

#include "base/error.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/net/address.h"
#include "bindings/net/passing.h"
#include "bindings/net/read.h"
#include "bindings/net/stream_object.h"
#include "bindings/net/tls_info.h"
#include "bindings/net/tls_stream.h"
#include "bindings/net/write.h"
#include "bindings/sync/select_source.h"
#include "io/address.h"
#include "io/pipe.h"
#include "io/socket.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>

/***
A connection: over TCP, TLS, in the Unix domain or in memory. It prints as its addresses and state;
`<close>` closes it.
@object stream
*/

/***
Closes at once. Tasks that wait in the stream get nil, "closed", "CLOSED". Idempotent, never waits.
@function stream:close
*/
static int stream_close(lua_State *L)
{
    ml_stream_close(ml_check_stream(L, 1));
    lua_pushboolean(L, 1);
    return 1;
}

/***
Limits each later read, or write, to s seconds of waiting; then it returns nil, "timeout",
"ETIMEDOUT".
@function stream:set_timeout
@tparam ?number s nil: no limit
@tparam[opt] string which "read" or "write"; both without it
*/
static int stream_set_timeout(lua_State *L)
{
    static const char *const names[] = {"read", "write", "both", NULL};
    struct ml_stream *s = ml_check_stream(L, 1);
    ml_time timeout = lua_isnoneornil(L, 2) ? ML_FOREVER : ml_check_span(L, 2);
    int which = luaL_checkoption(L, 3, "both", names);
    if (which != 1)
        s->read_timeout = timeout;
    if (which != 0)
        s->write_timeout = timeout;
    return 0;
}

/***
Limits the bytes that a later read may gather when it is given no limit of its own: then it returns
nil, message, "EMSGSIZE", and the bytes stay. Without this the limit of read_line(), lines() and
read_until() is 64 KiB, and read(), read_all() and lines() with a format have none.
@function stream:set_limit
@tparam ?integer max bytes; nil: as at first
*/
static int stream_set_limit(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    lua_Integer limit = lua_isnoneornil(L, 2) ? 0 : luaL_checkinteger(L, 2);
    luaL_argcheck(L, limit > 0 || lua_isnoneornil(L, 2), 2, "limit must be positive");
    s->limit = (size_t)limit;
    return 0;
}

/* 0, or the reason why a call that needs a socket cannot work. */
static int check_socket(const struct ml_stream *s, int without)
{
    if (!ml_stream_is_open(s))
        return -ML_ECLOSED;
    return ml_fd_is_open(&s->fd) ? 0 : -without;
}

static int push_done(lua_State *L, int error)
{
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/***
Sets whether each write is sent at once (TCP_NODELAY; the default) or small ones may be collected.
Never waits.
@function stream:set_nodelay
@tparam[opt=true] boolean on
@treturn boolean true; or nil, message, code ("EOPNOTSUPP": not over TCP)
*/
static int stream_set_nodelay(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    bool on = lua_isnone(L, 2) || lua_toboolean(L, 2);
    int error = check_socket(s, EOPNOTSUPP);
    return push_done(L, error != 0 ? error : ml_socket_set_nodelay(s->fd.number, on));
}

/* Reads an option of the kernel's in seconds: whole ones, at least 1; 0 if absent. */
static int check_whole_seconds(lua_State *L, int index)
{
    lua_Number seconds = luaL_optnumber(L, index, 0);
    luaL_argcheck(L, lua_isnoneornil(L, index) || (seconds > 0 && seconds < INT_MAX), index,
                  "seconds must be positive");
    return (int)ceil(seconds);
}

/***
Sets whether the kernel probes a peer that has been silent, and ends the connection if it does not
answer ("ETIMEDOUT" from reads and writes). Never waits.
@function stream:set_keepalive
@param[opt=true] idle seconds of silence before the first probe; true: as many as the system says;
false: off
@tparam[opt] number interval seconds between probes
@tparam[opt] integer count probes without an answer
@treturn boolean true; or nil, message, code ("EOPNOTSUPP": not over TCP)
*/
static int stream_set_keepalive(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    bool is_number = lua_type(L, 2) == LUA_TNUMBER;
    if (!is_number && !lua_isnone(L, 2) && !lua_isboolean(L, 2))
        luaL_typeerror(L, 2, "seconds or boolean");
    lua_Integer count = luaL_optinteger(L, 4, 0);
    luaL_argcheck(L, lua_isnoneornil(L, 4) || (count > 0 && count < INT_MAX), 4,
                  "count must be positive");
    struct ml_keepalive keepalive = {.is_on = lua_isnone(L, 2) || lua_toboolean(L, 2),
                                     .idle = is_number ? check_whole_seconds(L, 2) : 0,
                                     .interval = check_whole_seconds(L, 3),
                                     .count = (int)count};
    int error = check_socket(s, EOPNOTSUPP);
    return push_done(L, error != 0 ? error : ml_socket_set_keepalive(s->fd.number, &keepalive));
}

static int push_asked(lua_State *L, int error, const struct ml_address *address)
{
    if (error != 0)
        return ml_push_failure(L, error);
    ml_push_address(L, address);
    return 1;
}

/***
Returns the remote address; of a stream from a listener also when the peer has left. Never waits.
@function stream:peer
@treturn Address of the other end; or nil, message, code
*/
static int stream_peer(lua_State *L)
{
    const struct ml_stream *s = ml_check_stream(L, 1);
    struct ml_address address;
    int error = check_socket(s, ENOTCONN);
    return push_asked(L, error == 0 ? ml_socket_peer(s, &address) : error, &address);
}

/* core.accepted_from(stream): the text of the peer's address if a listener made the stream, even if
 * the peer is gone or the stream is closed; nil in the Unix domain, and for other streams. */
int ml_net_accepted_from(lua_State *L)
{
    const struct ml_stream *s = ml_check_object(L, 1, ml_stream_type);
    struct ml_address address;
    if (s->accepted_from.sin6_family == AF_UNIX || !s->is_accepted ||
        ml_socket_peer(s, &address) != 0)
        return 0;
    ml_push_address_text(L, &address);
    return 1;
}

/***
Returns the local address. Never waits.
@function stream:address
@treturn Address of this end; or nil, message, code
*/
static int stream_address(lua_State *L)
{
    const struct ml_stream *s = ml_check_stream(L, 1);
    struct ml_address address;
    int error = check_socket(s, ENOTCONN);
    return push_asked(L, error == 0 ? ml_address_of_socket(&address, s->fd.number) : error,
                      &address);
}

static void push_text_of(lua_State *L, int error, const struct ml_address *address)
{
    if (error == 0)
        ml_push_address_text(L, address);
    else
        lua_pushliteral(L, "?");
}

static int stream_tostring(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    if (!ml_stream_is_open(s)) {
        lua_pushliteral(L, "net.stream (closed)");
        return 1;
    }
    if (ml_stream_is_pipe(s) || ml_stream_is_pty(s)) {
        const char *over = ml_stream_is_pipe(s) ? "a pipe" : "a terminal";
        lua_pushfstring(L, "net.stream over %s (open)", over);
        return 1;
    }
    if (!ml_fd_is_open(&s->fd)) {
        lua_pushliteral(L, "net.stream in memory (open)");
        return 1;
    }
    struct ml_address own, peer;
    push_text_of(L, ml_address_of_socket(&own, s->fd.number), &own);
    push_text_of(L, ml_socket_peer(s, &peer), &peer);
    lua_pushfstring(L, "net.stream %s <- %s (open)", lua_tostring(L, -2), lua_tostring(L, -1));
    return 1;
}

/* A pipe through which nothing passes any more holds nothing. */
static bool is_spent(const struct ml_stream *s)
{
    return ml_stream_is_pipe(s) && !ml_fd_is_open(&s->fd);
}

static int stream_gc(lua_State *L)
{
    struct ml_stream *s = ml_check_object(L, 1, ml_stream_type);
    if (ml_stream_is_open(s) && !is_spent(s))
        ml_warn_unclosed(L, s);
    ml_stream_close(s);
    return 0;
}

/* ---- in select ---- */

static int attempt_to_read(lua_State *L, int index)
{
    struct ml_stream *s = ml_to_object(L, index);
    return ml_stream_is_open(s) ? ml_stream_look(s) : -ML_ECLOSED;
}

static int watch(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                 ml_time *again)
{
    (void)lua;
    (void)is_short;
    return ml_stream_watch(object, waiter, again);
}

static void unwatch(void *object)
{
    ml_stream_unwatch(object);
}

static const struct ml_select_source select_source = {
    .type = ml_stream_type, .attempt = attempt_to_read, .watch = watch, .unwatch = unwatch};

static const luaL_Reg methods[] = {{"read", ml_net_stream_read},
                                   {"read_some", ml_net_stream_read_some},
                                   {"read_exactly", ml_net_stream_read_exactly},
                                   {"read_line", ml_net_stream_read_line},
                                   {"read_until", ml_net_stream_read_until},
                                   {"read_all", ml_net_stream_read_all},
                                   {"lines", ml_net_stream_lines},
                                   {"chunks", ml_net_stream_chunks},
                                   {"peek", ml_net_stream_peek},
                                   {"write", ml_net_stream_write},
                                   {"sendfile", ml_net_stream_send_file},
                                   {"shutdown", ml_net_stream_shutdown},
                                   {"finish", ml_net_stream_finish},
                                   {"close", stream_close},
                                   {"starttls", ml_net_stream_starttls},
                                   {"handshake", ml_net_stream_handshake},
                                   {"tls_info", ml_net_stream_tls_info},
                                   {"set_timeout", stream_set_timeout},
                                   {"set_limit", stream_set_limit},
                                   {"set_nodelay", stream_set_nodelay},
                                   {"set_keepalive", stream_set_keepalive},
                                   {"peer", stream_peer},
                                   {"address", stream_address},
                                   {"credentials", ml_net_stream_credentials},
                                   {"send_fd", ml_net_stream_send_fd},
                                   {"recv_fd", ml_net_stream_recv_fd},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", stream_gc}, {"__close", stream_close}, {"__tostring", stream_tostring}, {NULL, NULL}};

void ml_open_stream_type(lua_State *L)
{
    ml_open_object_type(L, ml_stream_type, methods, metamethods);
    ml_lua_of(L)->select.sources[ML_SELECT_READABLE] = &select_source;
}
