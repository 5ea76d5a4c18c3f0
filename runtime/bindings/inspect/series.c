#include "bindings/inspect/series.h"

#include <math.h>

void *ml_push_series(lua_State *L, const char *type, size_t size, int more)
{
    void *series = ml_push_object(L, type, size, ML_SERIES_VALUES + more);
    for (int i = 1; i <= ML_SERIES_VALUES; i++) {
        lua_pushvalue(L, i);
        lua_setiuservalue(L, -2, i);
    }
    return series;
}

int ml_series_tostring(lua_State *L)
{
    luaL_getmetafield(L, 1, "__name");
    lua_getiuservalue(L, 1, ML_SERIES_FAMILY);
    lua_getfield(L, -1, "name");
    lua_getiuservalue(L, 1, ML_SERIES_TEXT);
    const char *type = lua_tostring(L, -4), *name = lua_tostring(L, -2);
    const char *labels = lua_tostring(L, -1);
    if (labels[0] == '\0')
        lua_pushfstring(L, "%s %s", type, name);
    else
        lua_pushfstring(L, "%s %s{%s}", type, name, labels);
    return 1;
}

lua_Number ml_check_finite(lua_State *L, int index)
{
    lua_Number number = luaL_checknumber(L, index);
    if (ml_unlikely(!isfinite(number))) {
        const char *got = isnan(number) ? "not-a-number" : "infinity";
        luaL_argerror(L, index, lua_pushfstring(L, "number expected, got %s", got));
    }
    return number;
}

void ml_push_plain_number(lua_State *L, lua_Number number)
{
    static const lua_Number exact = 9007199254740992.0; /* 2^53 */
    if (fabs(number) <= exact && number == floor(number))
        lua_pushinteger(L, (lua_Integer)number);
    else
        lua_pushnumber(L, number);
}
