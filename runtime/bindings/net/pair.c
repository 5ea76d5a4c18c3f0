/*** @submodule moonlet.net */
/* Pairs of connected streams: through the kernel, and through memory for tests. */
#include "bindings/net/pair.h"

#include "bindings/core/failure.h"
#include "bindings/core/option.h"
#include "bindings/net/stream_object.h"
#include "io/local_socket.h"
#include "io/memory.h"

#include <errno.h>
#include <sys/socket.h>

/***
Two streams connected with each other, through a nameless Unix-domain socket. Never waits.
@function pair
@treturn stream or nil, message, code
@treturn stream
*/
int ml_net_pair(lua_State *L)
{
    int ends[2];
    struct ml_stream *a = ml_push_stream(L);
    struct ml_stream *b = ml_push_stream(L);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return ml_push_failure(L, -errno);
    int error = ml_local_socket_open(a, ends[0]);
    int other = ml_local_socket_open(b, ends[1]);
    return error == 0 && other == 0 ? 2 : ml_push_failure(L, -ENOMEM);
}

/* Options from OF_BOTH on are also allowed for one direction. */
enum { OF_BOTH = 2 };
static const char *const option_names[] = {"a_to_b",      "b_to_a",      "chunk",   "capacity",
                                           "reset_after", "stall_after", "latency", NULL};

/* Pushes the field; false: it is absent. */
static bool push_option(lua_State *L, int options, const char *name)
{
    return lua_getfield(L, options, name) != LUA_TNIL;
}

/* The option, a number of bytes from `least` on; `otherwise` without. */
static uint64_t bytes_option(lua_State *L, int options, const char *name, lua_Integer least,
                             uint64_t otherwise)
{
    int is_integer = 1;
    bool is_there = push_option(L, options, name);
    lua_Integer bytes = is_there ? lua_tointegerx(L, -1, &is_integer) : least;
    if (!is_integer || bytes < least)
        luaL_error(L,
                   "bad argument #1 to 'memory_pair' (option '%s' must be an integer from %d on)",
                   name, (int)least);
    lua_pop(L, 1);
    return is_there ? (uint64_t)bytes : otherwise;
}

static ml_time seconds_option(lua_State *L, int options, const char *name, ml_time otherwise)
{
    int is_number = 1;
    bool is_there = push_option(L, options, name);
    lua_Number seconds = is_there ? lua_tonumberx(L, -1, &is_number) : 0;
    if (!is_number || !(seconds >= 0))
        luaL_error(L, "bad argument #1 to 'memory_pair' (option '%s' must be seconds)", name);
    lua_pop(L, 1);
    return is_there ? ml_time_from_seconds(seconds) : otherwise;
}

/* Applies the options in the table at `options`. */
static void read_options(lua_State *L, int options, struct ml_memory_options *way)
{
    way->chunk = bytes_option(L, options, "chunk", 1, way->chunk);
    way->capacity = bytes_option(L, options, "capacity", 1, way->capacity);
    way->reset_after = bytes_option(L, options, "reset_after", 0, way->reset_after);
    way->stall_after = bytes_option(L, options, "stall_after", 0, way->stall_after);
    way->latency = seconds_option(L, options, "latency", way->latency);
}

/* Applies the options for this direction alone. */
static void read_way(lua_State *L, int options, const char *name, struct ml_memory_options *way)
{
    const char *const *names = option_names + OF_BOTH;
    if (push_option(L, options, name)) {
        if (!lua_istable(L, -1))
            luaL_error(L, "bad argument #1 to 'memory_pair' (option '%s' must be a table)", name);
        ml_check_nested_names(L, lua_gettop(L), options, names);
        read_options(L, lua_gettop(L), way);
    }
    lua_pop(L, 1);
}

/***
Two streams connected with each other through memory, over a network as bad as a test wishes: see
docs/testing.md. If the clock of moonlet.test is virtual, it counts. Never waits.
@function memory_pair
@tparam[opt] table opts for each direction:
@tparam[opt] integer opts.chunk bytes that a receive, or a transmit, takes at most
@tparam[opt=0] number opts.latency seconds before bytes can be read
@tparam[opt] integer opts.reset_after bytes after which both streams get "ECONNRESET"
@tparam[opt] integer opts.stall_after bytes after which nothing more is taken, and not even the end
arrives
@tparam[opt=65536] integer opts.capacity bytes under way before a writer waits
@tparam[opt] table opts.a_to_b the same for the direction from the first stream to the second
@tparam[opt] table opts.b_to_a the same for the other direction
@treturn stream
@treturn stream
*/
int ml_net_memory_pair(lua_State *L)
{
    struct ml_memory_options a_to_b = ML_MEMORY_DEFAULTS;
    if (!lua_isnoneornil(L, 1)) {
        luaL_checktype(L, 1, LUA_TTABLE);
        ml_check_option_names(L, 1, option_names);
        read_options(L, 1, &a_to_b);
    }
    struct ml_memory_options b_to_a = a_to_b;
    if (lua_istable(L, 1)) {
        read_way(L, 1, "a_to_b", &a_to_b);
        read_way(L, 1, "b_to_a", &b_to_a);
    }
    struct ml_stream *a = ml_push_stream(L);
    struct ml_stream *b = ml_push_stream(L);
    if (ml_memory_pair_open(a, b, &a_to_b, &b_to_a) != 0)
        return luaL_error(L, "not enough memory");
    return 2;
}
