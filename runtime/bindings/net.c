/* The module moonlet.net: connecting and listening. */
#include "base/error.h"
#include "bindings/blocking.h"
#include "bindings/modules.h"
#include "bindings/net_types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where to, as the script said it. */
struct target {
    const char *host; /* a Lua string on the caller's stack */
    uint16_t port;
    int options; /* index of the options table, 0: none */
};

static bool is_address(lua_State *L, int index)
{
    if (!lua_istable(L, index) || luaL_getmetafield(L, index, "__name") == LUA_TNIL)
        return false;
    bool is = lua_isstring(L, -1) && strcmp(lua_tostring(L, -1), ML_ADDRESS_TYPE) == 0;
    lua_pop(L, 1);
    return is;
}

static uint16_t check_port(lua_State *L, int index)
{
    lua_Integer port = luaL_checkinteger(L, index);
    luaL_argcheck(L, port >= 0 && port <= 65535, index, "port must be from 0 to 65535");
    return (uint16_t)port;
}

/* Puts an address's host and port in its place: all that follows sees two arguments. */
static void expand_address(lua_State *L, int index)
{
    if (!is_address(L, index))
        return;
    lua_getfield(L, index, "port");
    lua_insert(L, index + 1);
    lua_getfield(L, index, "host");
    lua_replace(L, index);
}

static struct target check_target(lua_State *L)
{
    expand_address(L, 1);
    struct target target = {.host = luaL_checkstring(L, 1)};
    luaL_argcheck(L, strncmp(target.host, "unix:", 5) != 0, 1,
                  "Unix-domain sockets are not supported yet");
    target.port = check_port(L, 2);
    lua_settop(L, 3);
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        target.options = 3;
    }
    return target;
}

/* ---- options ---- */

static int family_option(lua_State *L, int options)
{
    if (options == 0)
        return AF_UNSPEC;
    bool is_absent = lua_getfield(L, options, "family") == LUA_TNIL;
    const char *name = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
    int family = strcmp(name, "inet") == 0    ? AF_INET
                 : strcmp(name, "inet6") == 0 ? AF_INET6
                                              : AF_UNSPEC;
    luaL_argcheck(L, is_absent || family != AF_UNSPEC, options,
                  "option 'family' must be \"inet\" or \"inet6\"");
    lua_pop(L, 1);
    return family;
}

static ml_time timeout_option(lua_State *L, int options)
{
    if (options == 0)
        return ML_FOREVER;
    ml_time deadline = ML_FOREVER;
    lua_getfield(L, options, "timeout");
    lua_Number seconds = lua_tonumber(L, -1);
    luaL_argcheck(L, lua_isnil(L, -1) || (lua_isnumber(L, -1) && seconds == seconds), options,
                  "option 'timeout' must be a number of seconds");
    if (!lua_isnil(L, -1))
        deadline = ml_check_deadline(L, lua_gettop(L));
    lua_pop(L, 1);
    return deadline;
}

static int backlog_option(lua_State *L, int options)
{
    if (options == 0)
        return 0;
    lua_getfield(L, options, "backlog");
    luaL_argcheck(L, lua_isnil(L, -1) || lua_isinteger(L, -1), options,
                  "option 'backlog' must be an integer");
    int backlog = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return backlog;
}

/* The local address of a connection: a numeric host, or an address. */
static struct ml_address bind_option(lua_State *L, int options)
{
    struct ml_address address = {0};
    if (options == 0)
        return address;
    lua_getfield(L, options, "bind");
    expand_address(L, lua_gettop(L));
    int host = options + 1;
    if (!lua_isnil(L, host)) {
        uint16_t port = lua_isinteger(L, host + 1) ? (uint16_t)lua_tointeger(L, host + 1) : 0;
        luaL_argcheck(L,
                      lua_type(L, host) == LUA_TSTRING &&
                          ml_address_parse(&address, lua_tostring(L, host), port),
                      options, "option 'bind' must be a numeric host or an address");
    }
    lua_settop(L, options);
    return address;
}

static struct ml_tcp_options tcp_options(lua_State *L, int options)
{
    if (ml_boolean_option(L, options, "tls", false))
        luaL_argerror(L, options, "option 'tls' is not supported yet");
    return (struct ml_tcp_options){
        .delay = !ml_boolean_option(L, options, "nodelay", true),
        .keepalive = ml_boolean_option(L, options, "keepalive", false),
        .reuseport = ml_boolean_option(L, options, "reuseport", false),
        .backlog = backlog_option(L, options),
        .bind = bind_option(L, options),
    };
}

/* ---- connect ---- */

/* Tries each address in turn until one answers. */
static int connect_any(struct ml_stream *s, const struct ml_addresses *addresses,
                       const struct ml_tcp_options *options, ml_time deadline)
{
    int error = -ML_ENOTFOUND;
    for (size_t i = 0; i < addresses->count; i++) {
        error = ml_tcp_connect(s, &addresses->items[i], options, deadline);
        if (error == 0 || error == -ETIMEDOUT || error == -ECANCELED)
            break;
    }
    return error;
}

static int resolve_and_connect(struct ml_io *io, struct ml_stream *s, const struct target *target,
                               int family, const struct ml_tcp_options *options, ml_time deadline)
{
    struct ml_addresses addresses;
    int error = ml_resolve(io, target->host, target->port, family, deadline, &addresses);
    if (error == 0)
        error = connect_any(s, &addresses, options, deadline);
    ml_addresses_release(&addresses);
    return error;
}

static int push_target_failure(lua_State *L, int error, const struct target *target)
{
    const char *form = strchr(target->host, ':') != NULL ? "[%s]:%d" : "%s:%d";
    return ml_push_net_failure(L, error, lua_pushfstring(L, form, target->host, (int)target->port));
}

/***
Connects to a TCP server. May wait.
@function connect
@tparam string host a name or a number; or an address in place of host and port
@tparam integer port
@tparam[opt] table opts timeout (seconds for all of it), family ("inet", "inet6"), nodelay (default
true), keepalive, bind (local numeric host or address)
@treturn stream or nil, message, code
*/
static int net_connect(lua_State *L)
{
    struct target target = check_target(L);
    int family = family_option(L, target.options);
    ml_time deadline = timeout_option(L, target.options);
    struct ml_tcp_options options = tcp_options(L, target.options);
    struct ml_stream *s = ml_push_stream(L);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = resolve_and_connect(&lua->io, s, &target, family, &options, deadline);
    error = ml_blocking_end(L, error);
    return error == 0 ? 1 : push_target_failure(L, error, &target);
}

/* ---- listen ---- */

/* Tries the addresses of one family, or of all others, in turn. */
static int listen_family(struct ml_listener *listener, const struct ml_addresses *addresses,
                         const struct ml_tcp_options *options, bool is_inet)
{
    int error = -ML_ENOTFOUND;
    for (size_t i = 0; i < addresses->count && error != 0; i++)
        if ((addresses->items[i].any.sa_family == AF_INET) == is_inet)
            error = ml_listener_open(listener, &addresses->items[i], options);
    return error;
}

/* A name is listened on at one of its addresses, an IPv4 one if it has any, as in Go: "localhost" is
 * then where most clients look for it. */
static int listen_any(struct ml_listener *listener, const struct ml_addresses *addresses,
                      const struct ml_tcp_options *options)
{
    int error = listen_family(listener, addresses, options, true);
    return error == -ML_ENOTFOUND ? listen_family(listener, addresses, options, false) : error;
}

/***
Listens for TCP connections. Waits only to resolve a host name.
@function listen
@tparam string host a local address, or a name (of its addresses an IPv4 one if there is one); "*": all
of IPv4; "::": all of IPv6
@tparam integer port 0: one that the system chooses, see listener:address()
@tparam[opt] table opts family, backlog, reuseport, and for the accepted streams nodelay, keepalive
@treturn listener or nil, message, code
*/
static int net_listen(lua_State *L)
{
    struct target target = check_target(L);
    int family = family_option(L, target.options);
    struct ml_tcp_options options = tcp_options(L, target.options);
    struct ml_listener *listener = ml_push_listener(L);
    const char *host = strcmp(target.host, "*") == 0 ? "0.0.0.0" : target.host;
    struct ml_addresses addresses;
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = ml_resolve(&lua->io, host, target.port, family, ML_FOREVER, &addresses);
    if (error == 0)
        error = listen_any(listener, &addresses, &options);
    ml_addresses_release(&addresses);
    error = ml_blocking_end(L, error);
    return error == 0 ? 1 : push_target_failure(L, error, &target);
}

static const luaL_Reg functions[] = {
    {"connect", net_connect}, {"listen", net_listen}, {NULL, NULL}};

int ml_open_net(lua_State *L)
{
    ml_open_stream_type(L);
    ml_open_listener_type(L);
    luaL_newlib(L, functions);
    return 1;
}
