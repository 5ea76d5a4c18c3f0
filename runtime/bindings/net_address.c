/* Addresses as scripts see them: immutable tables, compared by value, printing as text. */
#include "base/error.h"
#include "bindings/net_types.h"

#include <string.h>

static const char *family_name(const struct ml_address *address)
{
    return ml_address_is_local(address)         ? "unix"
           : address->any.sa_family == AF_INET6 ? "inet6"
                                                : "inet";
}

static void push_path(lua_State *L, const struct ml_address *address)
{
    char path[ML_PATH_SIZE];
    size_t length = ml_address_path(address, path);
    lua_pushlstring(L, path, length);
}

static void push_path_text(lua_State *L, const struct ml_address *address)
{
    lua_pushliteral(L, "unix:");
    push_path(L, address);
    lua_concat(L, 2);
}

static void push_internet_text(lua_State *L, const struct ml_address *address)
{
    char host[ML_HOST_SIZE];
    ml_address_host(address, host);
    lua_pushfstring(L, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host,
                    (int)ml_address_port(address));
}

void ml_push_address_text(lua_State *L, const struct ml_address *address)
{
    if (ml_address_is_local(address))
        push_path_text(L, address);
    else
        push_internet_text(L, address);
}

static bool fields_are_equal(lua_State *L, const char *field)
{
    lua_getfield(L, 1, field);
    lua_getfield(L, 2, field);
    bool equal = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return equal;
}

static int address_eq(lua_State *L)
{
    lua_pushboolean(L, lua_istable(L, 1) && lua_istable(L, 2) && fields_are_equal(L, "host") &&
                           fields_are_equal(L, "port") && fields_are_equal(L, "path") &&
                           fields_are_equal(L, "family"));
    return 1;
}

static int address_newindex(lua_State *L)
{
    return luaL_error(L, "an address cannot be changed");
}

/* Upvalue 1: the fields; upvalue 2: the text. */
static int address_tostring(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(2));
    return 1;
}

static int address_next(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_replace(L, 1);
    if (lua_next(L, 1))
        return 2;
    lua_pushnil(L);
    return 1;
}

static int address_pairs(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, address_next, 1);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static void push_host_and_port(lua_State *L, const struct ml_address *address)
{
    char host[ML_HOST_SIZE];
    ml_address_host(address, host);
    lua_pushstring(L, host);
    lua_setfield(L, -2, "host");
    lua_pushinteger(L, ml_address_port(address));
    lua_setfield(L, -2, "port");
}

static void push_fields(lua_State *L, const struct ml_address *address)
{
    lua_createtable(L, 0, 3);
    lua_pushstring(L, family_name(address));
    lua_setfield(L, -2, "family");
    if (ml_address_is_local(address)) {
        push_path(L, address);
        lua_setfield(L, -2, "path");
    } else {
        push_host_and_port(L, address);
    }
}

/* The table itself is empty: its fields are behind a metatable that no script can reach. */
void ml_push_address(lua_State *L, const struct ml_address *address)
{
    static const luaL_Reg shared[] = {
        {"__eq", address_eq}, {"__newindex", address_newindex}, {NULL, NULL}};
    static const luaL_Reg own[] = {
        {"__tostring", address_tostring}, {"__pairs", address_pairs}, {NULL, NULL}};
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    lua_createtable(L, 0, 7);
    luaL_setfuncs(L, shared, 0);
    push_fields(L, address);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    ml_push_address_text(L, address);
    luaL_setfuncs(L, own, 2);
    lua_pushliteral(L, ML_ADDRESS_TYPE);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}
