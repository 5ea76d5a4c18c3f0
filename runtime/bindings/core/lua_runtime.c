#include "bindings/core/lua_runtime.h"

#include "bindings/core/attribute.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/collection.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/story.h"
#include "bindings/lib/modules.h"

#include <stdlib.h>
#include <string.h>

/* Keys in the registry. */
static const char aside_key, idle_generators_key;

void ml_lua_push_tasks(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ml_lua_of(L)->tasks_ref);
}

void ml_lua_push_pool(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ml_lua_of(L)->pool_ref);
}

void ml_lua_push_task_type(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ml_lua_of(L)->task_type_ref);
}

void *ml_push_object(lua_State *L, const char *type, size_t size, int values)
{
    struct ml_object *object = lua_newuserdatauv(L, sizeof *object + size, values);
    object->type = type;
    memset(object + 1, 0, size);
    luaL_setmetatable(L, type);
    return object + 1;
}

void ml_object_note_place(lua_State *L, void *object)
{
    struct ml_object *head = (struct ml_object *)object - 1;
    head->place = ml_place_of(&ml_lua_of(L)->places, L, 1);
}

const char *ml_object_place(lua_State *L, const void *object)
{
    const struct ml_object *head = (const struct ml_object *)object - 1;
    return ml_place_text(&ml_lua_of(L)->places, head->place);
}

void ml_warn_unclosed(lua_State *L, const void *object)
{
    lua_warning(L, luaL_tolstring(L, 1, NULL), 1);
    lua_warning(L, " was never closed; made at ", 1);
    lua_warning(L, ml_object_place(L, object), 0);
    lua_pop(L, 1);
}

static int count_functions(const luaL_Reg *functions)
{
    int count = 0;
    while (functions[count].name != NULL)
        count++;
    return count;
}

/* In a table that is never rehashed, what comes first is found at the first look: __index, and the
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

void ml_push_weak_table(lua_State *L, const char *mode)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

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

/* Of the field whose name is below the top of the stack. */
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

void ml_lua_open(lua_State *L, struct ml_lua *lua)
{
    lua->main = L;
    lua->idle = malloc(ML_POOL_THREADS * sizeof *lua->idle);
    if (lua->idle == NULL)
        luaL_error(L, "not enough memory");
    lua->hub.hooks.body = ml_lua_task_body;
    lua->hub.hooks.strand_body = ml_strand_body;
    lua->hub.hooks.prefetch = ml_lua_task_prefetch;
    lua->hub.owner = lua;
    ml_hooks_install(lua, ML_HOOK_YIELD, &ml_refused_yield);
    lua->hub.hooks.collect = ml_lua_collect;
    lua->hub.hooks.starve = ml_lua_task_starve;
    *ml_lua_mark(L) = (uintptr_t)lua;
    lua_newtable(L);
    lua->tasks_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    lua->pool_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    luaL_newmetatable(L, ML_TASK_TYPE);
    lua->task_type_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua->aside = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &aside_key);
    lua->idle_generators = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &idle_generators_key);
    ml_lua_task_open(L);
    ml_attributes_open(L);
    ml_story_open(L);
    ml_cancellation_open(L);
}

void ml_lua_release(struct ml_lua *lua)
{
    ml_hooks_release(lua);
    ml_places_release(&lua->places);
    free(lua->idle);
    lua->idle = NULL;
    lua->idle_count = 0;
}
