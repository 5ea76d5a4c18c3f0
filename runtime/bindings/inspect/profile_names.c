#include "bindings/inspect/profile_names.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Whether the first name is to be shown and not the second: the shorter one. */
static bool is_better(const char *name, const char *other)
{
    size_t length = strlen(name), other_length = strlen(other);
    return length != other_length ? length < other_length : strcmp(name, other) < 0;
}

/* Stack: name of the function at `function`; the name is popped. names: index of the table. */
static void note(lua_State *L, int names, int function)
{
    void *address = (void *)(uintptr_t)lua_tocfunction(L, function);
    lua_rawgetp(L, names, address);
    bool is_new = lua_isnil(L, -1) || is_better(lua_tostring(L, -2), lua_tostring(L, -1));
    lua_pop(L, 1);
    if (is_new)
        lua_rawsetp(L, names, address);
    else
        lua_pop(L, 1);
}

/* Notes the C functions in the table on top of the stack, which is popped, as "prefix" + key. */
static void note_functions(lua_State *L, int names, const char *prefix, const char *separator)
{
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_iscfunction(L, -1))
            continue;
        lua_pushfstring(L, "%s%s%s", prefix, separator, lua_tostring(L, -2));
        note(L, names, lua_gettop(L) - 1);
    }
    lua_pop(L, 1);
}

static void note_modules(lua_State *L, int names)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
        bool has_name = lua_type(L, -2) == LUA_TSTRING;
        const char *name = has_name ? lua_tostring(L, -2) : "?";
        bool is_global = strcmp(name, LUA_GNAME) == 0;
        note_functions(L, names, is_global ? "" : name, is_global ? "" : ".");
    }
    lua_pop(L, 1);
}

/* luaL_newmetatable() keeps the metatable of a type under the type's name. */
static void note_types(lua_State *L, int names)
{
    lua_pushvalue(L, LUA_REGISTRYINDEX);
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
        bool is_type = lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1);
        const char *name = is_type ? lua_tostring(L, -2) : "?";
        if (is_type && name[0] != '_') {
            name = strcmp(name, LUA_FILEHANDLE) == 0 ? "file" : name;
            lua_pushliteral(L, "__index");
            lua_rawget(L, -2);
            note_functions(L, names, name, ":");
            note_functions(L, names, name, ":");
        } else {
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

void ml_profile_push_names(lua_State *L)
{
    luaL_checkstack(L, 16, NULL);
    lua_newtable(L);
    int names = lua_gettop(L);
    note_modules(L, names);
    note_types(L, names);
}
