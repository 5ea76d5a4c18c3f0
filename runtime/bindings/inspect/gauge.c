/*** @submodule moonlet.inspect */
#include "bindings/inspect/gauge.h"

#include "bindings/inspect/series.h"
#include "bindings/task/task_options.h"

static const char gauge_type[] = "inspect.gauge";

/* The user value behind those of every metric: the function that tells the value, or nil. */
enum { FUNCTION = ML_SERIES_VALUES + 1, MORE_VALUES = 1 };

struct gauge {
    lua_Number value;
    bool has_function;
};

/***
A number that goes up and down: a length, a temperature, requests under way. `inspect.gauge` makes
it.
@object Gauge
*/

int ml_inspect_gauge(lua_State *L)
{
    ml_push_series(L, gauge_type, sizeof(struct gauge), MORE_VALUES);
    return 1;
}

static struct gauge *check_settable(lua_State *L)
{
    struct gauge *gauge = ml_check_object(L, 1, gauge_type);
    if (ml_unlikely(gauge->has_function))
        luaL_error(L, "the value of this gauge comes from its function");
    return gauge;
}

/***
Sets the value, which may also be infinite or not-a-number. Never waits.
@function Gauge:set
@tparam number value
*/
static int gauge_set(lua_State *L)
{
    struct gauge *gauge = check_settable(L);
    gauge->value = luaL_checknumber(L, 2);
    return 0;
}

/***
Adds to the value. Never waits.
@function Gauge:add
@tparam[opt=1] number n may be negative
*/

/***
The same as add().
@function Gauge:inc
@tparam[opt=1] number n
*/
static int gauge_add(lua_State *L)
{
    struct gauge *gauge = check_settable(L);
    gauge->value += luaL_optnumber(L, 2, 1);
    return 0;
}

/***
Subtracts from the value. Never waits.
@function Gauge:dec
@tparam[opt=1] number n
*/
static int gauge_dec(lua_State *L)
{
    struct gauge *gauge = check_settable(L);
    gauge->value -= luaL_optnumber(L, 2, 1);
    return 0;
}

/***
From now on the value is what a function returns, called each time that the value is asked for:
`inspect.gauge("jobs_waiting"):set_function(function() return #jobs end)`. The function may not
wait. With nil the value is set by hand again.
@function Gauge:set_function
@tparam[opt] function fn returns a number
*/
static int gauge_set_function(lua_State *L)
{
    struct gauge *gauge = ml_check_object(L, 1, gauge_type);
    if (!lua_isnoneornil(L, 2))
        ml_check_callable(L, 2);
    lua_settop(L, 2);
    gauge->has_function = !lua_isnil(L, 2);
    lua_setiuservalue(L, 1, FUNCTION);
    return 0;
}

/***
The value; of a gauge with a function what that returns.
@function Gauge:value
@treturn number
*/
static int gauge_value(lua_State *L)
{
    const struct gauge *gauge = ml_check_object(L, 1, gauge_type);
    if (!gauge->has_function) {
        ml_push_plain_number(L, gauge->value);
        return 1;
    }
    lua_getiuservalue(L, 1, FUNCTION);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) != LUA_TNUMBER)
        return luaL_error(L, "the function of %s returned a %s, not a number",
                          luaL_tolstring(L, 1, NULL), luaL_typename(L, -2));
    return 1;
}

void ml_open_gauge_type(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"set", gauge_set}, {"add", gauge_add},     {"inc", gauge_add},
        {"dec", gauge_dec}, {"value", gauge_value}, {"set_function", gauge_set_function},
        {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__tostring", ml_series_tostring}, {NULL, NULL}};
    ml_open_object_type(L, gauge_type, methods, metamethods);
}
