#include "bindings/inspect/task_times.h"

#include "base/histogram.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "hub/state/observer.h"

#include <stdlib.h>

static const char times_type[] = "inspect.task_times";

/* Its address: the key of the object in the registry. */
static const char key;

struct times {
    struct ml_observer observer;
    ml_time *ready_at; /* for each slot: since when its task can run; 0: not known */
    uint32_t capacity;
    ml_time resumed_at; /* of the task that runs; 0: not known */
    ml_time paused_at;  /* when the last task stopped to run */
    ml_time polled_at;  /* the last poll at that time */
    uint64_t switches;
    struct ml_histogram ready, run, late;
};

/* ---- measuring ---- */

static void add(struct ml_histogram *histogram, ml_time from, ml_time to)
{
    if (ml_likely(from != 0))
        ml_histogram_add(histogram, to > from ? (uint64_t)(to - from) : 0);
}

/* Without memory the new slots are not measured. */
static __attribute__((noinline)) void grow(struct times *times, uint32_t slot)
{
    enum { LEAST = 256 };
    uint32_t capacity = times->capacity > 0 ? times->capacity : LEAST;
    while (capacity <= slot)
        capacity *= 2;
    ml_time *ready_at = realloc(times->ready_at, capacity * sizeof *ready_at);
    if (ready_at == NULL)
        return;
    for (uint32_t i = times->capacity; i < capacity; i++)
        ready_at[i] = 0;
    times->ready_at = ready_at;
    times->capacity = capacity;
}

static void note_ready(struct times *times, const struct ml_task *task, ml_time now)
{
    uint32_t slot = task->waiter.slot;
    if (ml_unlikely(slot >= times->capacity))
        grow(times, slot);
    if (ml_likely(slot < times->capacity))
        times->ready_at[slot] = now;
}

static void on_woken(struct times *times, const struct ml_task *task, ml_time now)
{
    if (task->wake == ML_WAKE_DEADLINE)
        add(&times->late, task->deadline, ml_hub_now(task->hub));
    note_ready(times, task, now);
}

/* If the hub has not polled meanwhile, this is the moment in which the one before stopped. */
static void on_resumed(struct times *times, const struct ml_task *task)
{
    bool is_at_once = times->polled_at == task->hub->pace.polled_at;
    ml_time now = ml_likely(is_at_once) ? times->paused_at : ml_clock_now();
    uint32_t slot = task->waiter.slot;
    times->resumed_at = now;
    times->switches++;
    if (ml_likely(slot < times->capacity)) {
        add(&times->ready, times->ready_at[slot], now);
        times->ready_at[slot] = 0;
    }
}

static void on_stopped(struct times *times, const struct ml_task *task, ml_time now)
{
    add(&times->run, times->resumed_at, now);
    times->resumed_at = 0;
    times->paused_at = now;
    times->polled_at = task->hub->pace.polled_at;
}

static void on_event(struct ml_observer *observer, struct ml_task *task, enum ml_task_event event)
{
    struct times *times = ml_container_of(observer, struct times, observer);
    if (event == ML_TASK_RESUMED) {
        on_resumed(times, task);
        return;
    }
    ml_time now = ml_clock_now();
    if (event == ML_TASK_SPAWNED)
        note_ready(times, task, now);
    else if (event == ML_TASK_WOKEN)
        on_woken(times, task, now);
    else if (task == task->hub->current) /* and not dropped while it waits */
        on_stopped(times, task, now);
    if (event == ML_TASK_PAUSED && task->state == ML_TASK_READY)
        note_ready(times, task, now);
}

/* ---- showing ---- */

/* Bounds of the buckets, in nanoseconds: 1 us to 10 s. Each ends a range of the histograms. */
static const uint64_t bounds[] = {
    1000,      2500,      5000,       10000,      25000,      50000,      100000,   250000,
    500000,    1000000,   2500000,    5000000,    10000000,   25000000,   50000000, 100000000,
    250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000};

enum { BOUNDS = sizeof bounds / sizeof *bounds };

static void set_seconds(lua_State *L, const char *name, double nanoseconds)
{
    lua_pushnumber(L, nanoseconds / 1e9);
    lua_setfield(L, -2, name);
}

static void set_buckets(lua_State *L, const struct ml_histogram *h)
{
    lua_createtable(L, BOUNDS, 0);
    lua_createtable(L, BOUNDS + 1, 0);
    for (int i = 0; i < BOUNDS; i++) {
        lua_pushnumber(L, (double)bounds[i] / 1e9);
        lua_rawseti(L, -3, i + 1);
        lua_pushinteger(L, (lua_Integer)ml_histogram_count_to(h, bounds[i]));
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushinteger(L, (lua_Integer)h->total);
    lua_rawseti(L, -2, BOUNDS + 1);
    lua_setfield(L, -3, "buckets");
    lua_setfield(L, -2, "bounds");
}

/* Sets a field of the table on top. */
static void set_histogram(lua_State *L, const char *name, const struct ml_histogram *h)
{
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, (lua_Integer)h->total);
    lua_setfield(L, -2, "count");
    set_seconds(L, "sum", (double)h->sum);
    set_buckets(L, h);
    lua_createtable(L, 0, 4);
    set_seconds(L, "p50", ml_histogram_quantile(h, 0.5));
    set_seconds(L, "p90", ml_histogram_quantile(h, 0.9));
    set_seconds(L, "p99", ml_histogram_quantile(h, 0.99));
    set_seconds(L, "p999", ml_histogram_quantile(h, 0.999));
    set_seconds(L, "max", (double)h->most);
    lua_setfield(L, -2, "quantiles");
    lua_setfield(L, -2, name);
}

/* ---- the object ---- */

static int times_gc(lua_State *L)
{
    struct times *times = ml_to_object(L, 1);
    ml_observer_remove(&ml_lua_of(L)->hub, &times->observer);
    free(times->ready_at);
    times->ready_at = NULL;
    times->capacity = 0;
    return 0;
}

static struct times *begin(lua_State *L)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    struct times *times = ml_push_object(L, times_type, sizeof *times, 0);
    times->observer.on_event = on_event;
    times->paused_at = times->resumed_at = ml_clock_now();
    times->polled_at = hub->pace.polled_at;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    ml_observer_add(hub, &times->observer);
    return times;
}

int ml_inspect_times(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
    const struct times *times = ml_test_object(L, -1, times_type);
    if (times == NULL)
        times = begin(L);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)times->switches);
    lua_setfield(L, -2, "switches");
    set_histogram(L, "ready", &times->ready);
    set_histogram(L, "run", &times->run);
    set_histogram(L, "late", &times->late);
    return 1;
}

void ml_open_times_type(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", times_gc}, {NULL, NULL}};
    ml_open_object_type(L, times_type, none, metamethods);
}
