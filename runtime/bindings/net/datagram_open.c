/*** @submodule moonlet.net */
/* net.udp(): opens a datagram socket, sets it up and binds it. */
#include "bindings/net/datagram_open.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/lua_worker.h"
#include "bindings/core/option.h"
#include "bindings/net/address.h"
#include "bindings/net/datagram.h"
#include "bindings/net/datagram_destination.h"
#include "bindings/net/datagram_options.h"
#include "bindings/net/options.h"

#include <string.h>

/* The address that net.udp() binds to. */
struct local_end {
    struct ml_address address; /* size 0: `host` must be resolved first */
    const char *host;
    uint16_t port;
    int family; /* AF_UNSPEC: the address's own */
    bool is_exclusive;
};

static int family_option(lua_State *L)
{
    lua_getfield(L, 1, "family");
    bool is_local = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "unix") == 0;
    lua_pop(L, 1);
    return is_local ? AF_UNIX : ml_family_option(L, 1);
}

static uint16_t port_option(lua_State *L)
{
    int is_integer = 1;
    bool is_there = lua_getfield(L, 1, "port") != LUA_TNIL;
    lua_Integer port = is_there ? lua_tointegerx(L, -1, &is_integer) : 0;
    luaL_argcheck(L, is_integer && port >= 0 && port <= 65535, 1,
                  "option 'port' must be an integer from 0 to 65535");
    lua_pop(L, 1);
    return (uint16_t)port;
}

/* Every address of the family; in the Unix domain none, for which the kernel chooses an abstract
 * name. */
static struct ml_address any_address(int family)
{
    struct ml_address address = {.any.sa_family = family == AF_UNSPEC ? AF_INET : family};
    address.size = family == AF_UNIX    ? sizeof(sa_family_t)
                   : family == AF_INET6 ? sizeof address.inet6
                                        : sizeof address.inet;
    return address;
}

/* Reads the host, at `index`. */
static void read_host(lua_State *L, int index, struct local_end *end)
{
    if (lua_isnil(L, index)) {
        end->address = any_address(end->family);
    } else if (!ml_to_local_address(L, index, &end->address)) {
        end->address.size = 0;
        luaL_argcheck(L, lua_type(L, index) == LUA_TSTRING, 1,
                      "option 'host' must be a string or an address");
        end->host = lua_tostring(L, index);
        luaL_argcheck(L, strncmp(end->host, "unix:", 5) != 0, 1,
                      "option 'host': the path is empty, too long or has a zero byte");
        if (strcmp(end->host, "*") == 0)
            end->address = any_address(AF_INET);
    }
}

/* Reads the options `host`, which stays on the stack at 2, `port` and `family`. */
static struct local_end check_local_end(lua_State *L)
{
    struct local_end end = {.family = family_option(L), .port = port_option(L)};
    end.is_exclusive = ml_boolean_option(L, 1, "exclusive", false);
    lua_getfield(L, 1, "host");
    read_host(L, 2, &end);
    bool is_local = end.address.size > 0 && ml_address_is_local(&end.address);
    luaL_argcheck(L, !is_local || end.port == 0, 1, "a Unix-domain socket has no port");
    if (!is_local && end.address.size > 0 && end.port > 0)
        ml_address_set_port(&end.address, end.port);
    return end;
}

static int resolve_end(struct ml_io *io, struct local_end *end)
{
    struct ml_target target = {.host = end->host, .port = end->port};
    int error = 0;
    if (end->address.size == 0)
        error = ml_target_find(io, end->family == AF_INET6 ? AF_INET6 : AF_INET, &target,
                               ML_FOREVER, &end->address);
    if (error != 0)
        return error;
    bool is_family = end->family == AF_UNSPEC || end->family == end->address.any.sa_family;
    return is_family ? 0 : -ML_ENOTFOUND;
}

static int open_own(struct ml_datagram *d, const struct local_end *end,
                    const struct ml_udp_options *options, const char **what)
{
    int error = ml_datagram_open(d, end->address.any.sa_family);
    if (error == 0)
        error = ml_udp_options_apply(options, d, what);
    if (error == 0) {
        *what = NULL;
        error = ml_datagram_bind(d, &end->address);
    }
    return error;
}

/* Whether the workers share the socket: it has a place that others know. */
static bool is_shared(const struct ml_lua *lua, const struct local_end *end)
{
    bool is_local = ml_address_is_local(&end->address);
    bool has_place =
        is_local ? end->address.size > sizeof(sa_family_t) : ml_address_port(&end->address) != 0;
    return lua->worker != NULL && !end->is_exclusive && has_place;
}

static int open_shared(struct ml_lua *lua, struct ml_datagram *d, const struct local_end *end,
                       const struct ml_udp_options *options, const char **what)
{
    struct ml_address address = end->address;
    unsigned flags =
        (ml_udp_options_have(options, ML_DATAGRAM_BROADCAST) ? ML_SHARE_BROADCAST : 0) |
        (ml_udp_options_have(options, ML_DATAGRAM_REUSE) ? ML_SHARE_REUSE : 0);
    int error = ml_address_make_absolute(&address);
    if (error == 0)
        error = ml_udp_share(lua, d, &address, flags);
    return error == 0 ? ml_udp_options_apply(options, d, what) : error;
}

static int open_end(struct ml_lua *lua, struct ml_datagram *d, struct local_end *end,
                    const struct ml_udp_options *options, const char **what)
{
    int error = resolve_end(d->io, end);
    if (error == 0)
        error = is_shared(lua, end) ? open_shared(lua, d, end, options, what)
                                    : open_own(d, end, options, what);
    if (error != 0)
        ml_datagram_close(d);
    return error;
}

static int push_open_failure(lua_State *L, int error, const struct local_end *end, const char *what)
{
    if (what == NULL && end->address.size > 0) {
        ml_push_address_text(L, &end->address);
        what = lua_tostring(L, -1);
    }
    return ml_push_net_failure(L, error, what != NULL ? what : end->host);
}

/***
Opens a datagram socket, UDP or in the Unix domain, bound to a local address. Waits only to resolve
a host name.
@function udp
@tparam[opt] table opts these, and the options of udp:set()
@tparam[opt] string|Address opts.host a local address, a name, "unix:/path", "unix:@name"; without:
every address
@tparam[opt] integer opts.port without: one that the system chooses
@tparam[opt="inet"] string opts.family "inet"; "inet6", which reaches IPv4, too, unless the host is
an IPv6 address other than "::"; "unix"
@tparam[opt=false] boolean opts.exclusive in a worker (moonlet.worker): the socket is its own;
otherwise the workers share one that has a port or a path: each sender's datagrams go to one worker
@tparam[opt=65536] integer opts.max bytes taken of a datagram, at most 65536
@treturn udp or nil, message, code
*/
int ml_net_udp(lua_State *L)
{
    ml_take_options_alone(L);
    const char *what = NULL;
    struct local_end end = check_local_end(L);
    struct ml_udp_options options = ml_check_udp_options(L, 1, true);
    struct ml_datagram *d = ml_push_udp(L);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = ml_blocking_end(L, open_end(lua, d, &end, &options, &what));
    return error == 0 ? 1 : push_open_failure(L, error, &end, what);
}
