#include "bindings/data/json_values.h"

#include "bindings/core/object.h"

#include <lauxlib.h>

static const char null_type[] = "json.null", array_type[] = "json.array";

/* Keys in the registry. */
static const char null_key, array_key;

void ml_json_check_stack(lua_State *L, int count)
{
    if (lua_checkstack(L, count))
        return;
    if (lua_gettop(L) > LUAI_MAXSTACK / 2)
        luaL_error(L, "stack overflow (JSON is nested too deep)");
    lua_pushliteral(L, "not enough memory");
    lua_error(L);
}

void ml_json_push_null(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
}

void ml_json_push_array_type(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
}

static int null_tostring(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

void ml_json_open_types(lua_State *L)
{
    static const luaL_Reg no_methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__tostring", null_tostring}, {NULL, NULL}};
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key) == LUA_TNIL) {
        ml_open_object_type(L, null_type, no_methods, metamethods);
        ml_push_object(L, null_type, 1, 0);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
        lua_createtable(L, 0, 1);
        lua_pushstring(L, array_type);
        lua_setfield(L, -2, "__name");
        lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
    }
    lua_pop(L, 1);
}
