/*** @submodule moonlet.net */
/* Listening sockets that a service manager has opened for the process: socket activation, as
 * systemd and others do it. */
#include "bindings/net/inherited.h"
#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/lua_worker.h"
#include "bindings/net/listener.h"
#include "bindings/net/options.h"
#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The protocol, sd_listen_fds(3): LISTEN_FDS descriptors from 3 on are for the process LISTEN_PID.
 */
enum { FIRST_DESCRIPTOR = 3 };

/* A variable of the environment as a number; -1: it is absent or none. */
static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end = NULL;
    long number = text != NULL && text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    return end != NULL && *end == '\0' ? number : -1;
}

/* Pushes the name of descriptor number `index`, counted from 0, in a list such as "http:admin". */
static void push_name(lua_State *L, const char *names, long index)
{
    while (names != NULL && index-- > 0) {
        names = strchr(names, ':');
        names = names != NULL ? names + 1 : NULL;
    }
    if (names == NULL || *names == '\0')
        lua_pushliteral(L, "unknown");
    else
        lua_pushlstring(L, names, strcspn(names, ":"));
}

/* Keeps the descriptor from programs started later. False: there is no such descriptor. */
static bool set_close_on_exec(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* A second reader would take descriptors that are in use. */
static void forget_environment(void)
{
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* Stack: the listeners, their names, LISTEN_FDNAMES or nil. Appends descriptor number `index` if it
 * is a listening stream socket. */
static void append(lua_State *L, int lists, long index, const struct ml_socket_options *options)
{
    lua_Integer next = (lua_Integer)lua_rawlen(L, lists) + 1;
    push_name(L, lua_tostring(L, lists + 2), index);
    struct ml_listener *listener = ml_push_listener(L);
    if (ml_listener_adopt(listener, (int)index + FIRST_DESCRIPTOR, options) == 0) {
        lua_rawseti(L, lists, next);
        lua_rawseti(L, lists + 1, next);
    }
    lua_settop(L, lists + 2);
}

/* Appends the listener of that ordinal that the master has. False: there is none. */
static bool append_shared(lua_State *L, int lists, uint32_t ordinal,
                          const struct ml_socket_options *options)
{
    char name[ML_SHARE_NAME] = "";
    struct ml_listener *listener = ml_push_listener(L);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = ml_listener_inherit(lua, listener, ordinal, options, name);
    error = ml_blocking_end(L, error);
    if (error == 0) {
        lua_rawseti(L, lists, (lua_Integer)lua_rawlen(L, lists) + 1);
        push_name(L, name, 0);
        lua_rawseti(L, lists + 1, (lua_Integer)lua_rawlen(L, lists + 1) + 1);
    }
    lua_settop(L, lists + 1);
    return error == 0 || error == -EINVAL; /* a stream that does not listen */
}

/* In a worker the master has them, for all workers. Stack: the lists. */
static void take_shared(lua_State *L, int lists, const struct ml_socket_options *options)
{
    struct ml_lua_worker *worker = ml_lua_of(L)->worker;
    bool has_more = !worker->has_inherited;
    worker->has_inherited = true;
    for (uint32_t ordinal = 1; has_more; ordinal++)
        has_more = append_shared(L, lists, ordinal, options);
}

/***
The listening sockets that the process was started with (`LISTEN_FDS`, `LISTEN_PID`,
`LISTEN_FDNAMES`, see sd_listen_fds(3)). The first call takes them and removes those variables from
the environment; a later one finds none. Descriptors that are no listening stream sockets stay as
they are. In a worker (moonlet.worker) they are those that its master was started with, which the
workers share. May wait for the master.
@function inherited
@tparam[opt] table opts
@tparam[opt=true] boolean opts.nodelay of the accepted streams
@tparam[opt=false] boolean opts.keepalive of the accepted streams
@treturn {listener,...} empty when there are none, or they are meant for another process
@treturn {string,...} the name of each, "unknown" without one
*/
int ml_net_inherited(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        luaL_checktype(L, 1, LUA_TTABLE);
    int table = lua_istable(L, 1) ? 1 : 0;
    struct ml_socket_options options = ml_check_socket_options(L, table);
    long count = number_of("LISTEN_PID") == (long)getpid() ? number_of("LISTEN_FDS") : 0;
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    if (ml_lua_of(L)->worker != NULL) {
        take_shared(L, 2, &options);
        return 2;
    }
    lua_pushstring(L, getenv("LISTEN_FDNAMES"));
    for (long i = 0; i < count && set_close_on_exec((int)i + FIRST_DESCRIPTOR); i++)
        append(L, 2, i, &options);
    if (count > 0)
        forget_environment();
    lua_settop(L, 3);
    return 2;
}
