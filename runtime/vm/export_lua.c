/*
 * Functions that the program exports in place of liblua's, for C modules. Its own calls, and
 * liblua's, go to liblua's (cmake/lua_api.cmake) and never come here.
 */
#include "vm/lua_api.h"

#define PUBLIC __attribute__((visibility("default")))

/* liblua's own, under their other names, are not exported: it is enough if one object declares them
 * hidden. */
#define HIDDEN __attribute__((visibility("hidden")))
HIDDEN extern __typeof(lua_status) __wrap_lua_status;
HIDDEN extern __typeof(lua_isyieldable) __wrap_lua_isyieldable;
HIDDEN extern __typeof(lua_resume) __wrap_lua_resume;
HIDDEN extern __typeof(lua_resetthread) __wrap_lua_resetthread;

static void *const hidden[]
    __attribute__((used)) = {(void *)__wrap_lua_status, (void *)__wrap_lua_isyieldable,
                             (void *)__wrap_lua_resume, (void *)__wrap_lua_resetthread};

PUBLIC int lua_status(lua_State *L)
{
    return ml_lua_api_status(L);
}

PUBLIC int lua_isyieldable(lua_State *L)
{
    return ml_lua_api_isyieldable(L);
}

PUBLIC int lua_resume(lua_State *L, lua_State *from, int count, int *results)
{
    return ml_lua_api_resume(L, from, count, results);
}

PUBLIC int lua_resetthread(lua_State *L)
{
    return ml_lua_api_resetthread(L);
}

#if LUA_VERSION_RELEASE_NUM >= 50406
PUBLIC int lua_closethread(lua_State *L, lua_State *from)
{
    (void)from;
    return ml_lua_api_resetthread(L);
}
#endif
