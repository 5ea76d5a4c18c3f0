#include "bindings/thread/settings.h"

#include <lauxlib.h>
#include <lualib.h>

/* The values of the parcel, in order. */
enum { PATH = 1, CPATH, ARG, PRELOAD, VALUES = PRELOAD };

static bool is_copyable(lua_State *L, int index)
{
    char text[ML_PACK_TEXT];
    struct ml_parcel *parcel = ml_pack_try(L, index, 1, "value", 0, text);
    if (parcel != NULL)
        ml_parcel_release(parcel);
    return parcel != NULL;
}

/* Pushes a table of the preloaded functions that are the script's: in Lua, and copyable. */
static void push_preloaded(lua_State *L)
{
    lua_newtable(L);
    int copies = lua_gettop(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (lua_pushnil(L); lua_next(L, copies + 1) != 0; lua_pop(L, 1)) {
        bool is_own = lua_isfunction(L, -1) && !lua_iscfunction(L, -1);
        if (!is_own || !is_copyable(L, lua_gettop(L)))
            continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, copies);
    }
    lua_settop(L, copies);
}

static void push_string_field(lua_State *L, int table, const char *name)
{
    if (!lua_istable(L, table) || lua_getfield(L, table, name) != LUA_TSTRING) {
        lua_settop(L, lua_istable(L, table) ? -2 : -1);
        lua_pushnil(L);
    }
}

struct ml_parcel *ml_settings_pack(lua_State *L)
{
    luaL_checkstack(L, 12, NULL);
    int top = lua_gettop(L), first = top + 2;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, top + 1, LUA_LOADLIBNAME);
    lua_replace(L, top + 1);
    push_string_field(L, top + 1, "path");
    push_string_field(L, top + 1, "cpath");
    lua_pushglobaltable(L);
    lua_pushliteral(L, "arg");
    lua_rawget(L, -2);
    lua_replace(L, -2);
    if (!is_copyable(L, lua_gettop(L))) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    push_preloaded(L);
    struct ml_parcel *parcel = ml_pack(L, first, VALUES, "setting #%d", 1);
    lua_settop(L, top);
    return parcel;
}

/* Stack: the values. */
static void apply_path(lua_State *L, int package, int value, const char *name)
{
    if (!lua_istable(L, package) || lua_isnil(L, value))
        return;
    lua_pushvalue(L, value);
    lua_setfield(L, package, name);
}

void ml_settings_apply(lua_State *L, const struct ml_parcel *settings)
{
    int top = lua_gettop(L);
    ml_unpack(L, settings);
    lua_getglobal(L, LUA_LOADLIBNAME);
    int package = lua_gettop(L);
    apply_path(L, package, top + PATH, "path");
    apply_path(L, package, top + CPATH, "cpath");
    lua_pushvalue(L, top + ARG);
    lua_setglobal(L, "arg");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (lua_pushnil(L); lua_next(L, top + PRELOAD) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, package + 1);
    }
    lua_settop(L, top);
}
