/*
 * Profiles of a host's. The text is made on a Lua state of its own: a script may be out of memory,
 * may have changed the library, and may be in the middle of os.exit().
 */
#include "moonlet.h"

#include "base/error.h"
#include "bindings/inspect/profile_module.h"
#include "bindings/inspect/profile_names.h"
#include "vm/moonlet_state.h"
#include "vm/runtimes.h"
#include "vm/stdlib.h"

#include <errno.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

/* The names of the modules that write formats begin so. */
#define PREFIX "moonlet.inspect.profile."

/* ---- starting ---- */

static int start(lua_State *L)
{
    const struct ml_profile_options *options = lua_touserdata(L, 1);
    lua_pushinteger(L, ml_profile_start(L, options));
    return 1;
}

static bool is_mode(const char *mode)
{
    return mode == NULL || strcmp(mode, "cpu") == 0 || strcmp(mode, "wall") == 0;
}

int moonlet_inspect_profile_start(struct moonlet *m, const struct moonlet_profile_options *options)
{
    static const struct moonlet_profile_options defaults;
    options = options != NULL ? options : &defaults;
    struct ml_profile_options how = {.hz = options->hz != 0 ? options->hz : ML_PROFILE_HZ,
                                     .is_wall = options->mode != NULL && *options->mode == 'w',
                                     .by_task = options->by_task,
                                     .has_lines = options->lines};
    int error = ml_runtime_check(m);
    if (error == 0 && (how.hz > ML_PROFILE_MOST_HZ || !is_mode(options->mode)))
        error = -EINVAL;
    if (error != 0)
        return error;
    lua_State *L = m->lua.aside;
    lua_pushcfunction(L, start);
    lua_pushlightuserdata(L, &how);
    error = lua_pcall(L, 1, 1, 0) == LUA_OK ? (int)lua_tointeger(L, -1) : -ENOMEM;
    lua_pop(L, 1);
    return error;
}

/* ---- writing ---- */

/* Loader of a module. Upvalue: its entry. */
static int load_module(lua_State *L)
{
    const struct ml_stdlib_module *module = lua_touserdata(L, lua_upvalueindex(1));
    if (luaL_loadbufferx(L, module->source, module->size, module->name, "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    return 1;
}

static void preload(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (const struct ml_stdlib_module *module = ml_stdlib_modules; module->name != NULL;
         module++) {
        if (strncmp(module->name, PREFIX, sizeof PREFIX - 1) != 0)
            continue;
        lua_pushlightuserdata(L, (void *)module);
        lua_pushcclosure(L, load_module, 1);
        lua_setfield(L, -2, module->name);
    }
    lua_pushcfunction(L, ml_open_inspect_profile);
    lua_setfield(L, -2, PREFIX "core");
    lua_pop(L, 1);
}

struct writing {
    const struct ml_lua *lua;
    struct ml_profile_names names;
    const char *format;
};

/* Stack: struct writing -> the text, or nil for an unknown format. */
static int write_text(lua_State *L)
{
    const struct writing *writing = lua_touserdata(L, 1);
    luaL_openlibs(L);
    preload(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, PREFIX "formats");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "has");
    lua_pushstring(L, writing->format);
    lua_call(L, 1, 1);
    if (!lua_toboolean(L, -1) || strcmp(writing->format, "table") == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_getfield(L, -2, "render");
    ml_profile_push(L, writing->lua, writing->names);
    lua_pushstring(L, writing->format);
    lua_call(L, 2, 1);
    return 1;
}

/* Copies the text on top of the stack. 0 or -ENOMEM. */
static int copy_text(lua_State *L, char **text, size_t *size)
{
    const char *from = lua_tolstring(L, -1, size);
    *text = malloc(*size + 1);
    if (*text == NULL)
        return -ENOMEM;
    memcpy(*text, from, *size + 1);
    return 0;
}

static int write_on(lua_State *L, struct writing *writing, char **text, size_t *size)
{
    *ml_lua_mark(L) = (uintptr_t)writing->lua;
    lua_pushcfunction(L, write_text);
    lua_pushlightuserdata(L, writing);
    int status = lua_pcall(L, 1, 1, 0);
    if (status != LUA_OK)
        return status == LUA_ERRMEM ? -ENOMEM : -EOPNOTSUPP;
    return lua_isnil(L, -1) ? -EINVAL : copy_text(L, text, size);
}

static int push_names(lua_State *L)
{
    ml_profile_push_names(L);
    return 1;
}

/* Without memory C functions have the names that their callers gave them. */
static int write_profile(struct ml_lua *lua, const char *format, char **text, size_t *size)
{
    lua_State *aside = lua->aside, *L = luaL_newstate();
    if (L == NULL)
        return -ENOMEM;
    lua_pushcfunction(aside, push_names);
    bool has_names = lua_pcall(aside, 0, 1, 0) == LUA_OK;
    struct writing writing = {lua, {aside, has_names ? lua_gettop(aside) : 0}, format};
    int error = write_on(L, &writing, text, size);
    lua_close(L);
    lua_pop(aside, 1);
    return error;
}

int moonlet_inspect_profile_stop(struct moonlet *m, const char *format, char **text, size_t *size)
{
    struct ml_profile_result result;
    int error = ml_runtime_check(m);
    if (error == 0 && format != NULL && (text == NULL || size == NULL))
        error = -EINVAL;
    if (error != 0)
        return error;
    ml_profile_halt(&m->lua);
    if (!ml_profile_get(&m->lua, &result))
        return -ENODATA;
    if (result.is_forked)
        error = -ECHILD;
    else if (format != NULL)
        error = write_profile(&m->lua, format, text, size);
    ml_profile_discard(&m->lua);
    return error == 0 ? (int)result.samples : error;
}
