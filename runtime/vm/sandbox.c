/* The parts of the library that a host takes away from its scripts (options.without). */
#include "vm/moonlet_state.h"

#include <lualib.h>
#include <string.h>

static void forget_global(lua_State *L, const char *name)
{
    lua_pushnil(L);
    lua_setglobal(L, name);
}

/* Replaces a library by one that has only the functions named. */
static void keep_only(lua_State *L, const char *library, const char *const names[])
{
    lua_getglobal(L, library);
    lua_newtable(L);
    for (; *names != NULL; names++) {
        lua_getfield(L, -2, *names);
        lua_setfield(L, -2, *names);
    }
    lua_pushvalue(L, -1);
    lua_setglobal(L, library);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, library);
    lua_pop(L, 3);
}

/* Removes the searchers of package.searchers from `first` to `last`. */
static void remove_searchers(lua_State *L, int first, int last)
{
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_getfield(L, -1, "searchers");
    int count = (int)luaL_len(L, -1), kept = 0;
    for (int i = 1; i <= count; i++) {
        bool stays = i < first || i > last;
        lua_rawgeti(L, -1, i);
        if (stays)
            lua_rawseti(L, -2, ++kept);
        else
            lua_pop(L, 1);
    }
    for (int i = kept + 1; i <= count; i++) {
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 2);
}

static void forget_field(lua_State *L, const char *library, const char *name)
{
    lua_getglobal(L, library);
    lua_pushnil(L);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void forget_preload(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushnil(L);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* What a module that is loaded later must not have. */
static int open_task_without_blocking(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    lua_pushnil(L);
    lua_setfield(L, -2, "blocking");
    return 1;
}

static void forget_blocking(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_getfield(L, -1, "moonlet.task.core");
    lua_pushcclosure(L, open_task_without_blocking, 1);
    lua_setfield(L, -2, "moonlet.task.core");
    lua_pop(L, 1);
}

static void close_c(lua_State *L)
{
    remove_searchers(L, ML_SEARCHER_C, ML_SEARCHER_C_ROOT);
    forget_field(L, LUA_LOADLIBNAME, "loadlib");
    forget_blocking(L);
}

void ml_sandbox_close(lua_State *L, unsigned without)
{
    static const char *const os[] = {"clock", "date", "difftime", "time", NULL};
    static const char *const debug[] = {"traceback", NULL};
    static const char *const none[] = {NULL};
    if ((without & MOONLET_OS) != 0)
        keep_only(L, LUA_OSLIBNAME, os);
    if ((without & MOONLET_DEBUG) != 0)
        keep_only(L, LUA_DBLIBNAME, debug);
    if ((without & MOONLET_IO) != 0) {
        keep_only(L, LUA_IOLIBNAME, none);
        forget_global(L, LUA_IOLIBNAME);
    }
    if ((without & (MOONLET_IO | MOONLET_BYTECODE)) != 0) {
        forget_global(L, "dofile");
        forget_global(L, "loadfile");
    }
    if ((without & MOONLET_C) != 0)
        close_c(L);
    if ((without & MOONLET_FILES) != 0) {
        remove_searchers(L, ML_SEARCHER_LUA, ML_SEARCHER_LUA);
        forget_field(L, LUA_LOADLIBNAME, "searchpath");
    }
    if ((without & MOONLET_NET) != 0) {
        forget_preload(L, "moonlet.net");
        forget_preload(L, "moonlet.net.core");
        forget_preload(L, "moonlet.patch");
    }
}
