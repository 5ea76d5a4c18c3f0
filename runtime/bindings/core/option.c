#include "bindings/core/option.h"

#include <lauxlib.h>
#include <string.h>

bool ml_boolean_option(lua_State *L, int options, const char *name, bool otherwise)
{
    if (options == 0)
        return otherwise;
    bool value = lua_getfield(L, options, name) != LUA_TNIL ? lua_toboolean(L, -1) : otherwise;
    lua_pop(L, 1);
    return value;
}

static bool is_among(const char *name, const char *const names[])
{
    while (*names != NULL && strcmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

void ml_check_option_names(lua_State *L, int options, const char *const names[])
{
    if (options != 0)
        ml_check_nested_names(L, options, options, names);
}

/* Checks the field whose name is below the top of the stack. */
static void check_name(lua_State *L, int argument, const char *const names[])
{
    if (lua_type(L, -2) != LUA_TSTRING || !is_among(lua_tostring(L, -2), names))
        luaL_argerror(L, argument,
                      lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -2, NULL)));
}

void ml_check_nested_names(lua_State *L, int options, int argument, const char *const names[])
{
    for (lua_pushnil(L); lua_next(L, options) != 0; lua_pop(L, 1))
        check_name(L, argument, names);
}

void ml_check_names_beside_items(lua_State *L, int table, int argument, const char *const names[])
{
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1))
        if (!lua_isinteger(L, -2))
            check_name(L, argument, names);
}
