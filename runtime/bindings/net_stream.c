/* Streams as scripts see them; reading is in bindings/net_read.c. */
#include "base/error.h"
#include "bindings/blocking.h"
#include "bindings/net_read.h"
#include "bindings/net_tls.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

const char ml_stream_type[] = "net.stream";

struct ml_stream *ml_push_stream(lua_State *L)
{
    struct ml_stream *s = ml_push_object(L, ml_stream_type, sizeof *s, 1);
    ml_stream_init(s, &ml_lua_of(L)->io);
    ml_object_note_place(L, s);
    return s;
}

void ml_stream_keep_host(lua_State *L, const char *host)
{
    lua_pushstring(L, host);
    lua_setiuservalue(L, -2, 1);
}

int ml_push_stream_failure(lua_State *L, const struct ml_stream *s, int error)
{
    luaL_pushfail(L);
    lua_pushstring(L, ml_tls_error_text(s, error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

/* Replaces the list at `index` by its elements in one string. */
static void join_list(lua_State *L, int index)
{
    luaL_Buffer joined;
    lua_Integer count = luaL_len(L, index);
    luaL_buffinit(L, &joined);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, index, i);
        if (!lua_isstring(L, -1))
            luaL_error(L, "bad argument #%d to 'write' (element %d of the list is a %s)", index - 1,
                       (int)i, luaL_typename(L, -1));
        luaL_addvalue(&joined);
    }
    luaL_pushresult(&joined);
    lua_replace(L, index);
}

static struct iovec check_piece(lua_State *L, int index)
{
    if (lua_istable(L, index))
        join_list(L, index);
    else if (!lua_isstring(L, index))
        luaL_typeerror(L, index, "string, number or list of them");
    size_t size;
    const char *data = lua_tolstring(L, index, &size);
    return (struct iovec){.iov_base = (void *)data, .iov_len = size};
}

static int push_written(lua_State *L, const struct ml_stream *s, int error, size_t sent)
{
    if (error != 0) {
        ml_push_stream_failure(L, s, error);
        lua_pushinteger(L, (lua_Integer)sent);
        return 4;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/***
Writes all values, contiguous in the stream whoever else writes. May wait.
@function stream:write
@param ... strings, numbers, or lists of them
@treturn boolean true once the kernel has all; or nil, message, code, bytes sent
*/
static int stream_write(lua_State *L)
{
    enum { PIECES = 8 };
    struct ml_stream *s = ml_check_stream(L, 1);
    int count = lua_gettop(L) - 1;
    struct iovec few[PIECES];
    struct iovec *pieces = few;
    if (count > PIECES)
        pieces = lua_newuserdatauv(L, (size_t)count * sizeof *pieces, 0);
    for (int i = 0; i < count; i++)
        pieces[i] = check_piece(L, i + 2);
    size_t sent;
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_stream_write(s, pieces, count, &sent));
    return push_written(L, s, error, sent);
}

/***
Ends the output: the peer reads the end of the stream, and may still write. May wait for writers.
@function stream:shutdown
@tparam[opt="write"] string how only "write"
@treturn boolean true; or nil, message, code
*/
static int stream_shutdown(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    luaL_argcheck(L, strcmp(luaL_optstring(L, 2, "write"), "write") == 0, 2,
                  "only \"write\" can be shut down");
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_stream_shutdown_write(s));
    if (error != 0)
        return ml_push_stream_failure(L, s, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- the rest ---- */

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

typedef int ask_address(struct ml_address *address, int fd);

static int push_asked(lua_State *L, ask_address *ask)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    struct ml_address address;
    int error = ml_fd_is_open(&s->fd) ? ask(&address, s->fd.number) : -ML_ECLOSED;
    if (error != 0)
        return ml_push_failure(L, error);
    ml_push_address(L, &address);
    return 1;
}

/***
@function stream:peer
@treturn Address of the other end; or nil, message, code
*/
static int stream_peer(lua_State *L)
{
    return push_asked(L, ml_address_of_peer);
}

/***
@function stream:address
@treturn Address of this end; or nil, message, code
*/
static int stream_address(lua_State *L)
{
    return push_asked(L, ml_address_of_socket);
}

static void push_text_of(lua_State *L, ask_address *ask, int fd)
{
    struct ml_address address;
    if (ask(&address, fd) == 0)
        ml_push_address_text(L, &address);
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
    push_text_of(L, ml_address_of_socket, s->fd.number);
    push_text_of(L, ml_address_of_peer, s->fd.number);
    lua_pushfstring(L, "net.stream %s <- %s (open)", lua_tostring(L, -2), lua_tostring(L, -1));
    return 1;
}

static int stream_gc(lua_State *L)
{
    struct ml_stream *s = ml_to_object(L, 1);
    if (ml_stream_is_open(s))
        ml_warn_unclosed(L, s);
    ml_stream_close(s);
    return 0;
}

static const luaL_Reg methods[] = {{"read", ml_net_stream_read},
                                   {"read_some", ml_net_stream_read_some},
                                   {"read_exactly", ml_net_stream_read_exactly},
                                   {"read_line", ml_net_stream_read_line},
                                   {"read_until", ml_net_stream_read_until},
                                   {"read_all", ml_net_stream_read_all},
                                   {"lines", ml_net_stream_lines},
                                   {"chunks", ml_net_stream_chunks},
                                   {"write", stream_write},
                                   {"shutdown", stream_shutdown},
                                   {"close", stream_close},
                                   {"starttls", ml_net_stream_starttls},
                                   {"handshake", ml_net_stream_handshake},
                                   {"tls_info", ml_net_stream_tls_info},
                                   {"set_timeout", stream_set_timeout},
                                   {"peer", stream_peer},
                                   {"address", stream_address},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", stream_gc}, {"__close", stream_close}, {"__tostring", stream_tostring}, {NULL, NULL}};

void ml_open_stream_type(lua_State *L)
{
    ml_open_object_type(L, ml_stream_type, methods, metamethods);
}
