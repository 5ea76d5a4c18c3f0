#include "bindings/net/connect_target.h"

#include "base/error.h"
#include "bindings/net/address.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

static const char local_prefix[] = "unix:";
enum { PREFIX_LENGTH = sizeof local_prefix - 1 };

static bool is_address(lua_State *L, int index)
{
    struct ml_address address;
    return ml_to_address(L, index, &address);
}

static bool is_local_name(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING &&
           strncmp(lua_tostring(L, index), local_prefix, PREFIX_LENGTH) == 0;
}

/* Replaces an address by the text of its host, or by "unix:" and its path; returns the port, 0 if
 * it has none. */
static uint16_t replace_address(lua_State *L, int index)
{
    lua_getfield(L, index, "port");
    uint16_t port = (uint16_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (lua_getfield(L, index, "path") != LUA_TNIL) {
        lua_pushstring(L, local_prefix);
        lua_insert(L, -2);
        lua_concat(L, 2);
    } else {
        lua_pop(L, 1);
        lua_getfield(L, index, "host");
    }
    lua_replace(L, index);
    return port;
}

static uint16_t check_port(lua_State *L, int index)
{
    lua_Integer port = luaL_checkinteger(L, index);
    luaL_argcheck(L, port >= 0 && port <= 65535, index, "port must be from 0 to 65535");
    return (uint16_t)port;
}

static void check_local(lua_State *L, int index, struct ml_target *target)
{
    struct ml_address address;
    luaL_argcheck(L, lua_isnoneornil(L, index + 1) || lua_istable(L, index + 1), index + 1,
                  "a Unix-domain socket has no port");
    target->is_local = true;
    target->host += PREFIX_LENGTH;
    target->length -= PREFIX_LENGTH;
    int error = ml_address_set_path(&address, target->host, target->length);
    luaL_argcheck(L, error == 0, index,
                  error == -EINVAL ? "path is empty or has a zero byte" : "path is too long");
}

/* The options stay at their index, by which errors name the argument. A port that is not needed may
 * be nil in front of them. */
static int options_after(lua_State *L, int last)
{
    int options = last + 1;
    if (lua_isnil(L, options) && !lua_isnoneornil(L, options + 1))
        options++;
    lua_settop(L, options);
    if (lua_isnil(L, options))
        return 0;
    luaL_checktype(L, options, LUA_TTABLE);
    return options;
}

/* Raises for a number: it is a port without a host. */
static void check_host(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_typeerror(L, index, "host");
}

struct ml_target ml_check_target(lua_State *L, int index)
{
    struct ml_target target = {0};
    int last = index;
    bool was_address = is_address(L, index);
    if (was_address)
        target.port = replace_address(L, index);
    check_host(L, index);
    target.host = luaL_checklstring(L, index, &target.length);
    if (is_local_name(L, index)) {
        check_local(L, index, &target);
    } else if (!was_address) {
        luaL_argcheck(L, strlen(target.host) == target.length, index, "host has a zero byte");
        target.port = check_port(L, ++last);
    }
    target.options = options_after(L, last);
    return target;
}

static int local_address(const struct ml_target *target, struct ml_addresses *found)
{
    struct ml_address address;
    *found = (struct ml_addresses){0};
    int error = ml_address_set_path(&address, target->host, target->length);
    return error == 0 ? ml_addresses_add(found, &address) : error;
}

int ml_target_resolve(struct ml_io *io, const struct ml_target *target, int family,
                      ml_time deadline, struct ml_addresses *found)
{
    return target->is_local ? local_address(target, found)
                            : ml_resolve(io, target->resolver, target->host, target->port, family,
                                         deadline, found);
}

int ml_target_resolve_some(struct ml_io *io, const struct ml_target *target, int family,
                           ml_time deadline, struct ml_addresses *found, struct ml_lookup **rest)
{
    *rest = NULL;
    return target->is_local ? local_address(target, found)
                            : ml_resolve_some(io, target->resolver, target->host, target->port,
                                              family, deadline, found, rest);
}

int ml_push_net_failure(lua_State *L, int error, const char *what)
{
    luaL_pushfail(L);
    lua_pushfstring(L, "%s: %s", what, ml_error_text(error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

int ml_push_target_failure(lua_State *L, int error, const char *text,
                           const struct ml_target *target)
{
    luaL_pushfail(L);
    if (target->is_local)
        lua_pushfstring(L, "unix:%s: %s", target->host, text);
    else
        lua_pushfstring(L, strchr(target->host, ':') != NULL ? "[%s]:%d: %s" : "%s:%d: %s",
                        target->host, (int)target->port, text);
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

bool ml_to_local_address(lua_State *L, int index, struct ml_address *address)
{
    if (ml_to_address(L, index, address))
        return true;
    if (lua_type(L, index) != LUA_TSTRING)
        return false;
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (!is_local_name(L, index))
        return ml_address_parse(address, text, 0);
    return ml_address_set_path(address, text + PREFIX_LENGTH, length - PREFIX_LENGTH) == 0;
}
