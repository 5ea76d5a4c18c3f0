/*** @submodule moonlet.inspect */
#include "bindings/inspect/histogram.h"

#include "bindings/inspect/series.h"

#include <stdint.h>

static const char histogram_type[] = "inspect.histogram", bounds_type[] = "inspect.bounds";

struct bounds {
    unsigned count;
    lua_Number upper[];
};

/* The user value behind those of every metric: the bounds, which the struct points to. */
enum { BOUNDS = ML_SERIES_VALUES + 1, MORE_VALUES = 1 };

struct histogram {
    const struct bounds *bounds;
    lua_Number sum;
    uint64_t total;
    uint64_t counts[]; /* for each bound what is above the one before; the last: above all */
};

/***
How often a measured value lay in which range: durations, sizes. `inspect.histogram` makes it.
@object Histogram
*/

int ml_inspect_bounds(lua_State *L)
{
    unsigned count = (unsigned)lua_rawlen(L, 1);
    size_t size = sizeof(struct bounds) + count * sizeof(lua_Number);
    struct bounds *bounds = ml_push_bare_object(L, bounds_type, size, 0);
    bounds->count = count;
    for (unsigned i = 0; i < count; i++) {
        lua_rawgeti(L, 1, i + 1);
        bounds->upper[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return 1;
}

int ml_inspect_histogram(lua_State *L)
{
    const struct bounds *bounds = ml_check_object(L, 4, bounds_type);
    size_t size = sizeof(struct histogram) + (bounds->count + 1) * sizeof(uint64_t);
    struct histogram *histogram = ml_push_series(L, histogram_type, size, MORE_VALUES);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, BOUNDS);
    histogram->bounds = bounds;
    return 1;
}

/* The index of the first bound that is not below the value; their number: there is none. */
static unsigned find_bucket(const struct bounds *bounds, lua_Number value)
{
    unsigned low = 0, high = bounds->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (value <= bounds->upper[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/***
Counts a value. One that is infinite or not-a-number is an error. Never waits.
@function Histogram:observe
@tparam number value
*/
static int histogram_observe(lua_State *L)
{
    struct histogram *histogram = ml_check_object(L, 1, histogram_type);
    lua_Number value = ml_check_finite(L, 2);
    histogram->counts[find_bucket(histogram->bounds, value)]++;
    histogram->total++;
    histogram->sum += value;
    return 0;
}

/***
How many values were observed, and their sum.
@function Histogram:value
@treturn integer count
@treturn number sum
*/
static int histogram_value(lua_State *L)
{
    const struct histogram *histogram = ml_check_object(L, 1, histogram_type);
    lua_pushinteger(L, (lua_Integer)histogram->total);
    ml_push_plain_number(L, histogram->sum);
    return 2;
}

/* Where in bucket `i` the value of that rank lies, if those in there are spread evenly. */
static lua_Number interpolate(const struct histogram *histogram, unsigned i, lua_Number rank)
{
    const struct bounds *bounds = histogram->bounds;
    if (i == bounds->count)
        return i > 0 ? bounds->upper[i - 1] : 0;
    lua_Number end = bounds->upper[i], begin = i > 0 ? bounds->upper[i - 1] : 0;
    if (i == 0 && end <= 0)
        return end;
    return begin + (end - begin) * rank / (lua_Number)histogram->counts[i];
}

/***
The value below which this share of the observed ones lies, as near as the buckets tell: it is
interpolated inside one bucket, as Prometheus does. A value above the last bound counts as that
bound.
@function Histogram:quantile
@tparam number q from 0 to 1; 0.99: the value that 99 % do not exceed
@treturn number|nil nil: nothing was observed
*/
static int histogram_quantile(lua_State *L)
{
    const struct histogram *histogram = ml_check_object(L, 1, histogram_type);
    lua_Number q = luaL_checknumber(L, 2);
    luaL_argcheck(L, q >= 0 && q <= 1, 2, "a number from 0 to 1 expected");
    lua_Number rank = q * (lua_Number)histogram->total;
    unsigned i = 0;
    if (histogram->total == 0)
        return 0;
    while (i < histogram->bounds->count &&
           (histogram->counts[i] == 0 || rank > (lua_Number)histogram->counts[i]))
        rank -= (lua_Number)histogram->counts[i++];
    lua_pushnumber(L, interpolate(histogram, i, rank));
    return 1;
}

int ml_inspect_buckets(lua_State *L)
{
    const struct histogram *histogram = ml_check_object(L, 1, histogram_type);
    unsigned count = histogram->bounds->count + 1;
    uint64_t sum = 0;
    lua_createtable(L, (int)count, 0);
    for (unsigned i = 0; i < count; i++) {
        sum += histogram->counts[i];
        lua_pushinteger(L, (lua_Integer)sum);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

void ml_open_histogram_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"observe", histogram_observe},
                                       {"value", histogram_value},
                                       {"quantile", histogram_quantile},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__tostring", ml_series_tostring}, {NULL, NULL}};
    ml_open_object_type(L, histogram_type, methods, metamethods);
}
