#include "bindings/inspect/trace.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/time_limit.h"
#include "bindings/inspect/trace_copy.h"
#include "hub/state/trace.h"
#include "hub/wait/wait.h"

#include <lauxlib.h>

/* Names of spans and marks have numbers, so that a record has room for them. Later ones share the
 * number 0. */
enum { MOST_NAMES = 4096 };

/*
 * The owner of a runtime's trace: an upvalue of all functions here, so it lives as long as they do.
 * Its user value is the names: number -> name, name -> number; 0 is there from the start.
 */
struct recorder {
    uint32_t epoch;  /* counts the traces: a span that began in another does not end in this one */
    uint32_t serial; /* of the last span */
    int name_count;
    bool has_sentinel; /* a finalizer will tell the end of the collector's cycle */
};

/* A span under way; a variable that is to be closed. */
struct span {
    uint32_t epoch;
    uint32_t serial;
    uint64_t id;   /* of its task */
    uint32_t slot; /* of its task */
    uint16_t name;
    bool is_apart; /* it does not nest with the other spans of its task */
    bool is_over;
};

static struct recorder *recorder_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static struct ml_hub *hub_of(lua_State *L)
{
    return &ml_lua_of(L)->hub;
}

/* ---- names ---- */

static void new_names(lua_State *L, int recorder)
{
    lua_newtable(L);
    lua_pushliteral(L, "(one name too many)");
    lua_rawseti(L, -2, 0);
    lua_setiuservalue(L, recorder, 1);
}

/* The number of the string at `index`. */
static uint16_t number_of(lua_State *L, int index)
{
    struct recorder *recorder = recorder_of(L);
    lua_Integer number = 0;
    lua_getiuservalue(L, lua_upvalueindex(1), 1);
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) != LUA_TNIL) {
        number = lua_tointeger(L, -1);
    } else if (recorder->name_count < MOST_NAMES) {
        number = ++recorder->name_count;
        lua_pushvalue(L, index);
        lua_rawseti(L, -3, number);
        lua_pushvalue(L, index);
        lua_pushinteger(L, number);
        lua_rawset(L, -4);
    }
    lua_pop(L, 2);
    return (uint16_t)number;
}

/* ---- the collector ---- */

/* Runs at the end of each cycle of the collector: nothing refers to the sentinel. A finalizer that
 * is set again runs again. */
static int tell_collection(lua_State *L)
{
    struct recorder *recorder = recorder_of(L);
    struct ml_hub *hub = hub_of(L);
    recorder->has_sentinel = hub->trace != NULL;
    if (hub->trace == NULL)
        return 0;
    ml_trace_add(hub->trace, (struct ml_trace_record){.event = ML_TRACE_COLLECTED,
                                                      .task = ml_trace_running(hub)});
    lua_getmetatable(L, 1);
    lua_setmetatable(L, 1);
    return 0;
}

static void leave_sentinel(lua_State *L)
{
    struct recorder *recorder = recorder_of(L);
    if (recorder->has_sentinel)
        return;
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, tell_collection, 1);
    lua_setfield(L, -2, "__gc");
    recorder->has_sentinel = true;
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* ---- begin and end ---- */

/* core.open(size) -> true; or nil, message, code: memory is out, or a trace is being recorded. */
static int core_open(lua_State *L)
{
    lua_Integer size = luaL_checkinteger(L, 1);
    struct recorder *recorder = recorder_of(L);
    if (hub_of(L)->trace == NULL) {
        new_names(L, lua_upvalueindex(1));
        recorder->name_count = 0;
        recorder->epoch++;
    }
    leave_sentinel(L);
    int error = ml_trace_open(hub_of(L), size > 0 ? (size_t)size : 0);
    return ml_push_outcome(L, error);
}

/* core.close(): ends the trace, if there is one. */
static int core_close(lua_State *L)
{
    ml_trace_close(hub_of(L));
    return 0;
}

/* core.is_open() -> boolean. */
static int core_is_open(lua_State *L)
{
    lua_pushboolean(L, hub_of(L)->trace != NULL);
    return 1;
}

/* core.take([seconds]) -> what was recorded in these (bindings/inspect/trace_copy.h), with the
 * table `names`; nil: nothing is recorded. Never waits. */
static int core_take(lua_State *L)
{
    ml_time span = lua_isnoneornil(L, 1) ? ML_FOREVER : ml_check_span(L, 1);
    struct ml_trace *trace = hub_of(L)->trace;
    if (trace == NULL) {
        lua_pushnil(L);
        return 1;
    }
    ml_trace_push_copy(L, trace, span);
    lua_getiuservalue(L, lua_upvalueindex(1), 1);
    lua_setfield(L, -2, "names");
    return 1;
}

/* ---- spans and marks ---- */

/* Whether code on L is the body of the running task. Spans of its generators and greenlets may end
 * in any order. */
static bool is_body(lua_State *L, const struct ml_task *task)
{
    return ml_lua_task_of((struct ml_task *)task)->L == L;
}

static void tell_span(struct ml_trace *trace, const struct span *span, enum ml_trace_event event)
{
    ml_trace_add(trace, (struct ml_trace_record){.event = (uint8_t)event,
                                                 .detail = span->is_apart,
                                                 .more = span->name,
                                                 .task = span->slot,
                                                 .argument = span->serial});
}

/* core.enter(name) -> a value to be closed when the span ends; nil: nothing is recorded. */
static int core_enter(lua_State *L)
{
    struct ml_hub *hub = hub_of(L);
    luaL_checktype(L, 1, LUA_TSTRING);
    if (hub->trace == NULL || hub->current == NULL)
        return 0;
    struct recorder *recorder = recorder_of(L);
    uint16_t name = number_of(L, 1);
    struct span *span = lua_newuserdatauv(L, sizeof *span, 0);
    *span = (struct span){.epoch = recorder->epoch,
                          .serial = ++recorder->serial,
                          .id = hub->current->id,
                          .slot = hub->current->waiter.slot,
                          .name = name,
                          .is_apart = !is_body(L, hub->current)};
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setmetatable(L, -2);
    if (hub->trace != NULL)
        tell_span(hub->trace, span, ML_TRACE_SPAN_BEGIN);
    return 1;
}

/* The span ends: its variable is closed, or collected with a generator that was dropped. */
static int leave(lua_State *L)
{
    struct ml_hub *hub = hub_of(L);
    struct span *span = lua_touserdata(L, 1);
    if (span == NULL || span->is_over)
        return 0;
    span->is_over = true;
    bool is_told = hub->trace != NULL && span->epoch == recorder_of(L)->epoch &&
                   (span->is_apart || ml_hub_task(hub, span->slot, span->id) != NULL);
    if (is_told)
        tell_span(hub->trace, span, ML_TRACE_SPAN_END);
    return 0;
}

/* core.mark(name): tells that the running task has come here. */
static int core_mark(lua_State *L)
{
    struct ml_hub *hub = hub_of(L);
    luaL_checktype(L, 1, LUA_TSTRING);
    if (hub->trace == NULL)
        return 0;
    uint16_t name = number_of(L, 1);
    if (hub->trace != NULL)
        ml_trace_add(hub->trace, (struct ml_trace_record){.event = ML_TRACE_MARK,
                                                          .more = name,
                                                          .task = ml_trace_running(hub)});
    return 0;
}

/* ---- errors and missed deadlines ---- */

static const struct ml_wait_kind watch_kind = {.text = "an error, to save the trace",
                                               .is_lasting = true};

static int push_counts(lua_State *L, const struct ml_trace *trace)
{
    lua_pushinteger(L, trace->errors);
    lua_pushinteger(L, trace->deadlines);
    return 2;
}

/* core.watch(errors, deadlines) -> how many there were since the trace was opened, once they are
 * more than these; nothing: it has been closed. Waits. */
static int core_watch(lua_State *L)
{
    uint32_t errors = (uint32_t)luaL_checkinteger(L, 1);
    uint32_t deadlines = (uint32_t)luaL_checkinteger(L, 2);
    const struct recorder *recorder = recorder_of(L);
    uint32_t epoch = recorder->epoch;
    struct ml_hub *hub = &ml_blocking_begin(L)->hub;
    int error = 0;
    while (error == 0 && hub->trace != NULL && recorder->epoch == epoch &&
           hub->trace->errors == errors && hub->trace->deadlines == deadlines)
        error = ml_wait(hub, &watch_kind, 0, &hub->trace->watchers, ML_FOREVER);
    ml_blocking_end(L, error);
    if (hub->trace == NULL || recorder->epoch != epoch)
        return 0;
    return push_counts(L, hub->trace);
}

/* core.counts() -> how many there were; nothing: no trace is recorded. */
static int core_counts(lua_State *L)
{
    const struct ml_trace *trace = hub_of(L)->trace;
    return trace != NULL ? push_counts(L, trace) : 0;
}

/* core.now() -> seconds of the clock that tasks see. */
static int core_now(lua_State *L)
{
    lua_pushnumber(L, ml_time_to_seconds(ml_hub_now(hub_of(L))));
    return 1;
}

/* ---- the module ---- */

/* The runtime is closed, or nothing leads here any more. */
static int free_trace(lua_State *L)
{
    ml_trace_close(hub_of(L));
    return 0;
}

static void push_recorder(lua_State *L)
{
    struct recorder *recorder = lua_newuserdatauv(L, sizeof *recorder, 1);
    *recorder = (struct recorder){0};
    new_names(L, lua_gettop(L));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_trace);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
}

/* Stack: the recorder. */
static void push_span_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__close", leave}, {"__gc", leave}, {NULL, NULL}};
    luaL_newlibtable(L, methods);
    lua_pushvalue(L, -2);
    luaL_setfuncs(L, methods, 1);
}

int ml_open_inspect_trace(lua_State *L)
{
    static const luaL_Reg functions[] = {{"open", core_open},       {"close", core_close},
                                         {"is_open", core_is_open}, {"take", core_take},
                                         {"enter", core_enter},     {"mark", core_mark},
                                         {"watch", core_watch},     {"now", core_now},
                                         {"counts", core_counts},   {NULL, NULL}};
    luaL_newlibtable(L, functions);
    push_recorder(L);
    push_span_type(L);
    luaL_setfuncs(L, functions, 2);
    return 1;
}
