#include "bindings/core/object.h"

#include "bindings/core/lua_runtime.h"

#include <string.h>

void *ml_push_bare_object(lua_State *L, const char *type, size_t size, int values)
{
    struct ml_object *object = lua_newuserdatauv(L, sizeof *object + size, values);
    object->type = type;
    object->source_line = 0;
    memset(object + 1, 0, size);
    return object + 1;
}

void *ml_push_object(lua_State *L, const char *type, size_t size, int values)
{
    void *object = ml_push_bare_object(L, type, size, values);
    luaL_setmetatable(L, type);
    return object;
}

void ml_object_note_source_line(lua_State *L, void *object)
{
    struct ml_object *head = (struct ml_object *)object - 1;
    head->source_line = ml_source_line_of(&ml_lua_of(L)->source_lines, L, 1);
}

const char *ml_object_source_line(lua_State *L, const void *object)
{
    const struct ml_object *head = (const struct ml_object *)object - 1;
    return ml_source_line_text(&ml_lua_of(L)->source_lines, head->source_line);
}

void ml_warn_unclosed(lua_State *L, const void *object)
{
    lua_warning(L, luaL_tolstring(L, 1, NULL), 1);
    lua_warning(L, " was never closed; made at ", 1);
    lua_warning(L, ml_object_source_line(L, object), 0);
    lua_pop(L, 1);
}

static int count_functions(const luaL_Reg *functions)
{
    int count = 0;
    while (functions[count].name != NULL)
        count++;
    return count;
}

/* In a table that is never rehashed the first entries are found at the first look: __index, and the
 * methods that are called most. */
void ml_open_object_type(lua_State *L, const char *type, const luaL_Reg *methods,
                         const luaL_Reg *metamethods)
{
    enum { NAME_AND_INDEX = 2 };
    lua_createtable(L, 0, count_functions(metamethods) + NAME_AND_INDEX);
    lua_createtable(L, 0, count_functions(methods));
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    luaL_setfuncs(L, metamethods, 0);
    lua_pushstring(L, type);
    lua_setfield(L, -2, "__name");
    lua_setfield(L, LUA_REGISTRYINDEX, type);
}
