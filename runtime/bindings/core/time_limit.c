#include "bindings/core/time_limit.h"

#include "bindings/core/lua_runtime.h"
#include "hub/state/hub.h"

#include <lauxlib.h>

ml_time ml_check_span(lua_State *L, int index)
{
    lua_Number seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds == seconds, index, "seconds expected, got not-a-number");
    return ml_time_from_seconds(seconds);
}

ml_time ml_check_deadline(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return ML_FOREVER;
    ml_time span = ml_check_span(L, index);
    return span > 0 ? ml_time_after(ml_hub_now(&ml_lua_of(L)->hub), span) : ML_NEVER_WAIT;
}
