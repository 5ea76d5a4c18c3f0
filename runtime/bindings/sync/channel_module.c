#include "bindings/sync/channel_module.h"

#include "bindings/sync/channel.h"
#include "bindings/sync/select.h"

#include <lauxlib.h>

int ml_open_channel(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", ml_channel_new}, {"select", ml_channel_select}, {NULL, NULL}};
    ml_open_channel_type(L);
    luaL_newlib(L, functions);
    return 1;
}
