/*
 * What liblua calls in place of its collector, in programs that link it statically
 * (cmake/lua_api.cmake): the same, with a clock around it while the runtime's metrics are on. The
 * names and types are those of liblua's lgc.h, which all releases of 5.4 share.
 */
#include "bindings/inspect/collector_clock.h"

void luaC_step(lua_State *L);
void luaC_fullgc(lua_State *L, int is_emergency);
__typeof(luaC_step) __real_luaC_step, __wrap_luaC_step;
__typeof(luaC_fullgc) __real_luaC_fullgc, __wrap_luaC_fullgc;

/* bindings/inspect/collector_clock.c looks whether it is there. */
const char ml_collector_has_clock = 1;

/* Called at least once for each 2 KB that Lua takes. */
void __wrap_luaC_step(lua_State *L)
{
    struct ml_collector_clock *clock = ml_collector_begin();
    __real_luaC_step(L);
    ml_collector_end(clock);
}

/* For collectgarbage(), and when an allocation has failed. */
void __wrap_luaC_fullgc(lua_State *L, int is_emergency)
{
    struct ml_collector_clock *clock = ml_collector_begin();
    __real_luaC_fullgc(L, is_emergency);
    ml_collector_end(clock);
}
