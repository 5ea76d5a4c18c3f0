/* A hook that C code sets, as profilers do. */
#include <lauxlib.h>
#include <lua.h>

static lua_Integer calls;

static void on_count(lua_State *L, lua_Debug *event)
{
    (void)L;
    (void)event;
    calls++;
}

/* count: instructions between two calls; 0: no more */
static int l_set(lua_State *L)
{
    int count = (int)luaL_checkinteger(L, 1);
    calls = 0;
    lua_sethook(L, count > 0 ? on_count : NULL, LUA_MASKCOUNT, count);
    return 0;
}

/* -> how often it was called, whether lua_gethook() gives it */
static int l_get(lua_State *L)
{
    lua_pushinteger(L, calls);
    lua_pushboolean(L, lua_gethook(L) == on_count);
    return 2;
}

int luaopen_c_hook(lua_State *L);
__attribute__((visibility("default"))) int luaopen_c_hook(lua_State *L)
{
    static const luaL_Reg functions[] = {{"set", l_set}, {"get", l_get}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
