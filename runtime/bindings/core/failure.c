#include "bindings/core/failure.h"

#include "base/error.h"
#include "bindings/core/source_line.h"

#include <lauxlib.h>
#include <stdarg.h>

#define FAILURE_TYPE "moonlet.failure"

int ml_push_failure(lua_State *L, int error)
{
    luaL_pushfail(L);
    lua_pushstring(L, ml_error_text(error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

static int failure_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    return 1;
}

bool ml_is_failure(lua_State *L, int index)
{
    if (!lua_istable(L, index) || !lua_getmetatable(L, index))
        return false;
    luaL_getmetatable(L, FAILURE_TYPE);
    bool is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

void ml_failure_push_type(lua_State *L)
{
    if (luaL_newmetatable(L, FAILURE_TYPE)) {
        lua_pushcfunction(L, failure_tostring);
        lua_setfield(L, -2, "__tostring");
    }
}

int ml_raise_in_script(lua_State *L, const char *format, ...)
{
    va_list arguments;
    ml_push_script_line(L);
    va_start(arguments, format);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    lua_concat(L, 2);
    return lua_error(L);
}

int ml_raise_failure(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_insert(L, -3);
    lua_setfield(L, -3, "code");
    lua_setfield(L, -2, "message");
    ml_failure_push_type(L);
    lua_setmetatable(L, -2);
    return lua_error(L);
}
