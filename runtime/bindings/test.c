/* The part of moonlet.test that is written in C. */
#include "bindings/blocking.h"
#include "bindings/modules.h"
#include "hub/simulation.h"
#include "io/linger.h"

#include <fcntl.h>

static int set_clock(lua_State *L)
{
    ml_simulation_set_clock(&ml_lua_of(L)->hub, lua_toboolean(L, 1));
    return 0;
}

static int wait_idle(lua_State *L)
{
    struct ml_lua *lua = ml_blocking_begin(L);
    ml_blocking_end(L, ml_wait_idle(&lua->hub));
    return 0;
}

static int shuffle(lua_State *L)
{
    ml_simulation_set_shuffle(&ml_lua_of(L)->hub, (uint64_t)luaL_checkinteger(L, 1));
    return 0;
}

/* Descriptors beyond are not looked at. */
static int descriptor_limit(lua_State *L)
{
    enum { LOOKED_AT = 1024 };
    lua_pushinteger(L, LOOKED_AT);
    return 1;
}

/* Sockets that were closed and linger do not count. */
static int is_open(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    lua_pushboolean(L, fcntl(fd, F_GETFD) >= 0 && !ml_linger_has(&ml_lua_of(L)->io, fd));
    return 1;
}

int ml_open_test(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"set_clock", set_clock}, {"wait_idle", wait_idle},
        {"shuffle", shuffle},     {"descriptor_limit", descriptor_limit},
        {"is_open", is_open},     {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
