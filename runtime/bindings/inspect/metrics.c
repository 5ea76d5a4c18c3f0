#include "bindings/inspect/metrics.h"

#include "bindings/inspect/counter.h"
#include "bindings/inspect/gauge.h"
#include "bindings/inspect/histogram.h"
#include "bindings/inspect/http_figures.h"
#include "bindings/inspect/runtime_figures.h"
#include "bindings/inspect/series.h"
#include "bindings/inspect/task_times.h"
#include "bindings/sync/semaphore.h"
#include "hub/on/sync_primitives.h"

/* core.series(metric) -> its family, the text of its labels, its labels. */
static int series(lua_State *L)
{
    for (int i = 1; i <= ML_SERIES_VALUES; i++)
        lua_getiuservalue(L, 1, i);
    return ML_SERIES_VALUES;
}

/* core.is_series(value, name of a type) -> whether it is one of that type. */
static int is_series(lua_State *L)
{
    luaL_getmetatable(L, luaL_checkstring(L, 2));
    lua_pushboolean(L, lua_getmetatable(L, 1) && lua_rawequal(L, -1, -2));
    return 1;
}

/* core.methods(name of a type) -> the table of its methods. */
static int methods(lua_State *L)
{
    luaL_getmetatable(L, luaL_checkstring(L, 1));
    lua_getfield(L, -1, "__index");
    return 1;
}

/* core.waiters(semaphore) -> how many tasks wait for a permit of it. */
static int waiters(lua_State *L)
{
    const struct ml_semaphore *semaphore = ml_check_object(L, 1, ml_semaphore_type);
    lua_pushinteger(L, ml_inspect_length(&semaphore->waiters));
    return 1;
}

int ml_open_metrics(lua_State *L)
{
    static const luaL_Reg functions[] = {{"bounds", ml_inspect_bounds},
                                         {"buckets", ml_inspect_buckets},
                                         {"counter", ml_inspect_counter},
                                         {"gauge", ml_inspect_gauge},
                                         {"histogram", ml_inspect_histogram},
                                         {"http", ml_inspect_http},
                                         {"is_series", is_series},
                                         {"methods", methods},
                                         {"runtime", ml_inspect_runtime},
                                         {"series", series},
                                         {"times", ml_inspect_times},
                                         {"waiters", waiters},
                                         {NULL, NULL}};
    ml_open_counter_type(L);
    ml_open_gauge_type(L);
    ml_open_histogram_type(L);
    ml_open_times_type(L);
    luaL_newlib(L, functions);
    return 1;
}
