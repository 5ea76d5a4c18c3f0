#include "bindings/net/options.h"

#include "bindings/core/option.h"
#include "bindings/core/time_limit.h"
#include "bindings/net/connect_target.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

void ml_take_options_alone(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
}

int ml_family_option(lua_State *L, int options)
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

ml_time ml_timeout_option(lua_State *L, int options)
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
    lua_Integer backlog = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return backlog < 0 ? 0 : backlog < INT_MAX ? (int)backlog : INT_MAX;
}

/* The local address of a connection. */
static struct ml_address bind_option(lua_State *L, int options)
{
    struct ml_address address = {0};
    if (options == 0)
        return address;
    lua_getfield(L, options, "bind");
    luaL_argcheck(L, lua_isnil(L, -1) || ml_to_local_address(L, -1, &address), options,
                  "option 'bind' must be a numeric host, a \"unix:\" name or an address");
    lua_pop(L, 1);
    return address;
}

struct ml_socket_options ml_check_socket_options(lua_State *L, int options)
{
    return (struct ml_socket_options){
        .delay = !ml_boolean_option(L, options, "nodelay", true),
        .keepalive = ml_boolean_option(L, options, "keepalive", false),
        .reuseport = ml_boolean_option(L, options, "reuseport", false),
        .backlog = backlog_option(L, options),
        .bind = bind_option(L, options),
    };
}
