/*** @submodule moonlet.net */
/*
 * Addresses as scripts see them: immutable tables, compared by value, printing as text. One holds a
 * single hidden value, the socket address in the kernel's form, in a string. So making one is
 * cheap, and taking one back parses nothing.
 */
#include "bindings/net/address.h"

#include "base/error.h"

#include <string.h>

/* The key, by its address, of the hidden value in an address, and of their metatable in the
 * registry. */
static const char hidden_key;

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

static void push_host(lua_State *L, const struct ml_address *address)
{
    char host[ML_HOST_SIZE];
    ml_address_host(address, host);
    lua_pushstring(L, host);
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

/* ---- the hidden value ---- */

void ml_push_address_key(lua_State *L, const struct ml_address *address)
{
    struct ml_address own = *address;
    if (own.any.sa_family == AF_INET6)
        own.inet6.sin6_flowinfo = 0; /* it belongs to a packet, not to an address */
    lua_pushlstring(L, (const char *)&own.any, own.size);
}

void ml_push_address_of_key(lua_State *L, int key)
{
    key = lua_absindex(L, key);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, key);
    lua_rawsetp(L, -2, &hidden_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &hidden_key);
    lua_setmetatable(L, -2);
}

void ml_push_address(lua_State *L, const struct ml_address *address)
{
    ml_push_address_key(L, address);
    ml_push_address_of_key(L, -1);
    lua_remove(L, -2);
}

bool ml_to_address(lua_State *L, int index, struct ml_address *address)
{
    *address = (struct ml_address){0};
    if (!lua_istable(L, index))
        return false;
    size_t size = 0;
    const char *bytes = NULL;
    if (lua_rawgetp(L, index, &hidden_key) == LUA_TSTRING)
        bytes = lua_tolstring(L, -1, &size);
    bool is_one = bytes != NULL && size >= sizeof(sa_family_t) && size <= sizeof address->local;
    if (is_one) {
        memcpy(&address->any, bytes, size);
        address->size = (socklen_t)size;
    }
    lua_pop(L, 1);
    return is_one;
}

/* ---- metamethods and fields ---- */

/* Pushes the field, nil if the address has none of that name. */
static void push_field(lua_State *L, const struct ml_address *address, const char *name)
{
    bool is_local = ml_address_is_local(address);
    if (strcmp(name, "family") == 0)
        lua_pushstring(L, family_name(address));
    else if (is_local && strcmp(name, "path") == 0)
        push_path(L, address);
    else if (!is_local && strcmp(name, "host") == 0)
        push_host(L, address);
    else if (!is_local && strcmp(name, "port") == 0)
        lua_pushinteger(L, ml_address_port(address));
    else
        lua_pushnil(L);
}

static void check_address(lua_State *L, int index, struct ml_address *address)
{
    if (!ml_to_address(L, index, address))
        luaL_typeerror(L, index, ML_ADDRESS_TYPE);
}

/***
An address: cannot be changed, is compared by value, prints as text, and can stand in place of host
and port. pairs() iterates over its fields.
@object Address
@tfield string family "inet", "inet6" or "unix"
@tfield ?string host numeric; nil in the Unix domain
@tfield ?integer port nil in the Unix domain
@tfield ?string path of the Unix domain; an abstract name begins with "@"
*/
static int address_index(lua_State *L)
{
    struct ml_address address;
    check_address(L, 1, &address);
    if (lua_type(L, 2) == LUA_TSTRING)
        push_field(L, &address, lua_tostring(L, 2));
    else
        lua_pushnil(L);
    return 1;
}

static int address_eq(lua_State *L)
{
    bool are_tables = lua_istable(L, 1) && lua_istable(L, 2);
    if (are_tables) {
        lua_rawgetp(L, 1, &hidden_key);
        lua_rawgetp(L, 2, &hidden_key);
    }
    lua_pushboolean(L, are_tables && lua_isstring(L, -1) && lua_rawequal(L, -1, -2));
    return 1;
}

static int address_newindex(lua_State *L)
{
    return luaL_error(L, "an address cannot be changed");
}

static int address_tostring(lua_State *L)
{
    struct ml_address address;
    check_address(L, 1, &address);
    ml_push_address_text(L, &address);
    return 1;
}

static int address_next(lua_State *L)
{
    static const char *const internet_fields[] = {"family", "host", "port", NULL};
    static const char *const local_fields[] = {"family", "path", NULL};
    struct ml_address address;
    check_address(L, 1, &address);
    lua_settop(L, 2);
    const char *const *field = ml_address_is_local(&address) ? local_fields : internet_fields;
    if (!lua_isnil(L, 2)) {
        const char *last = luaL_checkstring(L, 2);
        while (*field != NULL && strcmp(*field, last) != 0)
            field++;
        if (*field == NULL)
            return luaL_argerror(L, 2, "no field of an address");
        field++;
    }
    lua_pushstring(L, *field);
    if (*field == NULL)
        return 1;
    push_field(L, &address, *field);
    return 2;
}

static int address_pairs(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushcfunction(L, address_next);
    lua_insert(L, 1);
    return 2;
}

void ml_open_address_type(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__index", address_index},       {"__eq", address_eq},
        {"__newindex", address_newindex}, {"__pairs", address_pairs},
        {"__tostring", address_tostring}, {NULL, NULL}};
    luaL_newlib(L, metamethods);
    lua_pushliteral(L, ML_ADDRESS_TYPE);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &hidden_key);
}
