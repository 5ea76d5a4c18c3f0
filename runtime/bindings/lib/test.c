/* The part of moonlet.test that is written in C. */
#include "bindings/lib/test.h"

#include "bindings/core/blocking.h"
#include "bindings/file/watch.h"
#include "bindings/lib/preempt_by_chance.h"
#include "bindings/net/address.h"
#include "hub/loop/simulation.h"
#include "hub/on/idle.h"
#include "hub/state/ready.h"
#include "io/linger.h"
#include "io/socket.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int set_clock(lua_State *L)
{
    ml_simulation_set_clock(&ml_lua_of(L)->hub, lua_toboolean(L, 1));
    return 0;
}

static int wait_idle(lua_State *L)
{
    struct ml_lua *lua = ml_blocking_begin(L);
    ml_blocking_end(L, ml_wait_idle(&lua->hub));
    return 0;
}

static int shuffle(lua_State *L)
{
    ml_ready_set_shuffle(&ml_lua_of(L)->hub, (uint64_t)luaL_checkinteger(L, 1));
    return 0;
}

static int preempt(lua_State *L)
{
    lua_Integer seed = luaL_checkinteger(L, 1), mean = luaL_checkinteger(L, 2);
    ml_preempt_by_chance(L, (uint64_t)seed, (uint32_t)mean);
    return 0;
}

/* Descriptors beyond it are not checked. */
static int descriptor_limit(lua_State *L)
{
    enum { LOOKED_AT = 1024 };
    lua_pushinteger(L, LOOKED_AT);
    return 1;
}

/* Sockets and watches that were closed and linger do not count. */
static int is_open(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    bool lingers = ml_linger_has(&ml_lua_of(L)->io, fd) || ml_fs_watch_lingers(L, fd);
    lua_pushboolean(L, fcntl(fd, F_GETFD) >= 0 && !lingers);
    return 1;
}

/* ---- the kind of a descriptor, in words ---- */

/* Pushes the text of an address, "" if there is none. */
static void push_end(lua_State *L, int error, const struct ml_address *address)
{
    bool is_known = address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6 ||
                    address->any.sa_family == AF_UNIX;
    if (error == 0 && is_known)
        ml_push_address_text(L, address);
    else
        lua_pushliteral(L, "");
}

static void push_socket(lua_State *L, int fd)
{
    struct ml_address own = {0}, peer = {0};
    bool is_listening = ml_socket_option(fd, SO_ACCEPTCONN, 0) != 0;
    bool is_datagram = ml_socket_option(fd, SO_TYPE, 0) == SOCK_DGRAM;
    int error = ml_address_of_peer(&peer, fd);
    lua_pushstring(L, is_listening  ? "listening socket "
                      : is_datagram ? "datagram socket "
                                    : "socket ");
    push_end(L, ml_address_of_socket(&own, fd), &own);
    lua_pushstring(L, error == 0 ? " <- " : "");
    push_end(L, error, &peer);
    lua_concat(L, 4);
}

static void push_pipe(lua_State *L, int fd)
{
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    lua_pushstring(L, mode == O_RDONLY   ? "pipe, the end to read from"
                      : mode == O_WRONLY ? "pipe, the end to write to"
                                         : "pipe");
}

/* describe(fd) -> "socket 127.0.0.1:7000 <- 127.0.0.1:51234", "file /tmp/a", "eventfd" ... */
static int describe(lua_State *L)
{
    static const char anonymous[] = "anon_inode:";
    char name[32], target[PATH_MAX];
    int fd = (int)luaL_checkinteger(L, 1);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(name, target, sizeof target - 1);
    target[size > 0 ? size : 0] = '\0';
    struct stat about;
    if (fstat(fd, &about) != 0)
        lua_pushliteral(L, "closed");
    else if (S_ISSOCK(about.st_mode))
        push_socket(L, fd);
    else if (S_ISFIFO(about.st_mode) && target[0] != '/')
        push_pipe(L, fd);
    else if (strncmp(target, anonymous, sizeof anonymous - 1) == 0)
        lua_pushstring(L, target + sizeof anonymous - 1);
    else
        lua_pushfstring(L, "%s %s", S_ISDIR(about.st_mode) ? "directory" : "file", target);
    return 1;
}

int ml_open_test(lua_State *L)
{
    static const luaL_Reg functions[] = {{"set_clock", set_clock},
                                         {"wait_idle", wait_idle},
                                         {"preempt", preempt},
                                         {"shuffle", shuffle},
                                         {"descriptor_limit", descriptor_limit},
                                         {"is_open", is_open},
                                         {"describe", describe},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
