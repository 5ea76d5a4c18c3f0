/*** @submodule moonlet.inspect */
#include "bindings/inspect/counter.h"

#include "bindings/inspect/series.h"

#include <stdint.h>

static const char counter_type[] = "inspect.counter";

/* Its value is the sum of both. Whole numbers are counted in an integer, so that adding 1 works
 * beyond 2^53, too. */
struct counter {
    uint64_t whole;
    lua_Number rest;
};

/***
A number that only grows: requests, bytes, failures. `inspect.counter` makes it.
@object Counter
*/

int ml_inspect_counter(lua_State *L)
{
    ml_push_series(L, counter_type, sizeof(struct counter), 0);
    return 1;
}

static void add_whole(struct counter *counter, uint64_t count)
{
    uint64_t sum;
    if (ml_likely(!__builtin_add_overflow(counter->whole, count, &sum))) {
        counter->whole = sum;
        return;
    }
    counter->rest += (lua_Number)counter->whole + (lua_Number)count;
    counter->whole = 0;
}

static void add_number(lua_State *L, struct counter *counter)
{
    static const lua_Number exact = 9007199254740992.0; /* 2^53 */
    lua_Number number = ml_check_finite(L, 2);
    luaL_argcheck(L, number >= 0, 2, "a counter never decreases");
    uint64_t whole = number < exact ? (uint64_t)number : 0;
    if ((lua_Number)whole == number)
        add_whole(counter, whole);
    else
        counter->rest += number;
}

/***
Counts. A number that is negative, infinite or not-a-number is an error. Never waits.
@function Counter:add
@tparam[opt=1] number n 0 or more
*/

/***
The same as add().
@function Counter:inc
@tparam[opt=1] number n 0 or more
*/
static int counter_add(lua_State *L)
{
    struct counter *counter = ml_check_object(L, 1, counter_type);
    int is_integer;
    lua_Integer n = lua_tointegerx(L, 2, &is_integer);
    if (ml_likely(is_integer && n >= 0))
        add_whole(counter, (uint64_t)n);
    else if (lua_isnoneornil(L, 2))
        add_whole(counter, 1);
    else
        add_number(L, counter);
    return 0;
}

/***
The count so far.
@function Counter:value
@treturn number an integer while only integers were added and the sum is one
*/
static int counter_value(lua_State *L)
{
    const struct counter *counter = ml_check_object(L, 1, counter_type);
    if (counter->rest == 0 && counter->whole <= LUA_MAXINTEGER)
        lua_pushinteger(L, (lua_Integer)counter->whole);
    else
        ml_push_plain_number(L, (lua_Number)counter->whole + counter->rest);
    return 1;
}

void ml_open_counter_type(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"add", counter_add}, {"inc", counter_add}, {"value", counter_value}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__tostring", ml_series_tostring}, {NULL, NULL}};
    ml_open_object_type(L, counter_type, methods, metamethods);
}
