#include "bindings/inspect/trace_copy.h"

#include "bindings/core/lua_runtime.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/source_line.h"
#include "bindings/core/task_view.h"

#include <lauxlib.h>
#include <string.h>

/* Nanoseconds of the monotonic clock at `ticks`. */
static lua_Integer time_at(const struct ml_trace *trace, uint64_t ticks, double tick)
{
    double span = (double)(int64_t)(ticks - trace->opened_ticks) * tick;
    return (lua_Integer)trace->opened_at + (lua_Integer)span;
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/* Pushes {id, name or false, line} of a live task. */
static void push_task(lua_State *L, const struct ml_lua_task *task)
{
    struct ml_lua *lua = ml_lua_of(L);
    lua_createtable(L, 3, 0);
    lua_pushinteger(L, (lua_Integer)task->task.id);
    lua_rawseti(L, -2, 1);
    ml_lua_push_tasks(L);
    lua_rawgeti(L, -1, (lua_Integer)task->task.waiter.slot + 1);
    if (!task->is_named || lua_isnil(L, -1))
        lua_pushboolean(L, 0);
    else
        ml_lua_push_task_name(L, lua_gettop(L));
    lua_rawseti(L, -4, 2);
    lua_pop(L, 2);
    lua_pushstring(L, ml_source_line_text(&lua->source_lines, task->source_line));
    lua_rawseti(L, -2, 3);
}

/* Stack: the table of live tasks. Adds the one in `slot`, if a task is there. */
static void note_task(lua_State *L, int tasks, uint32_t slot)
{
    const struct ml_hub *hub = &ml_lua_of(L)->hub;
    struct ml_task *task =
        slot < hub->slots.count ? ml_slots_task(&hub->slots, slot) : (struct ml_task *)NULL;
    if (task == NULL)
        return;
    if (lua_rawgeti(L, tasks, slot) == LUA_TNIL) {
        push_task(L, ml_lua_task_of(task));
        lua_rawseti(L, tasks, slot);
    }
    lua_pop(L, 1);
}

/* Adds what the record names to the tables. */
static void note_record(lua_State *L, const struct ml_trace_record *record, int tasks, int lines)
{
    if (record->event == ML_TRACE_TEXT || record->event == ML_TRACE_GAP)
        return;
    note_task(L, tasks, record->task);
    if (record->event == ML_TRACE_WAKE || record->event == ML_TRACE_SPAWN) {
        note_task(L, tasks, record->argument);
    } else if (record->event == ML_TRACE_NAME) {
        lua_pushstring(L, ml_source_line_text(&ml_lua_of(L)->source_lines, record->more));
        lua_rawseti(L, lines, record->more);
    }
}

/* Stack: the copy. Adds tasks and lines. */
static void add_names(lua_State *L, const char *records, size_t size)
{
    int copy = lua_gettop(L);
    lua_newtable(L);
    lua_newtable(L);
    for (size_t at = 0; at < size; at += sizeof(struct ml_trace_record)) {
        struct ml_trace_record record;
        memcpy(&record, records + at, sizeof record);
        note_record(L, &record, copy + 1, copy + 2);
    }
    lua_setfield(L, copy, "lines");
    if (lua_getfield(L, copy, "running") != LUA_TNIL)
        note_task(L, copy + 1, (uint32_t)lua_tointeger(L, -1));
    lua_pop(L, 1);
    lua_setfield(L, copy, "tasks");
}

/* `kinds` are a copy: memory for the table may run finalizers, which may close the trace. */
static void add_kinds(lua_State *L, const struct ml_wait_kind *const kinds[ML_TRACE_KINDS])
{
    lua_newtable(L);
    for (int i = 1; i < ML_TRACE_KINDS; i++) {
        if (kinds[i] == NULL)
            continue;
        lua_pushstring(L, kinds[i]->text);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "kinds");
}

/* The ticks `span` before now. */
static uint64_t ticks_before(const struct ml_trace *trace, ml_time span, double tick)
{
    double ticks = (double)span / tick;
    uint64_t now = ml_trace_now(trace), most = now - trace->opened_ticks;
    return ticks < (double)most ? now - (uint64_t)ticks : trace->opened_ticks;
}

/* Pushes the records. The allocation may run finalizers, which may add some, or close the trace. */
static struct ml_trace_part push_records(lua_State *L, struct ml_trace *trace, uint64_t since)
{
    enum { MORE = 64 }; /* what finalizers are likely to add */
    struct ml_hub *hub = trace->hub;
    struct ml_trace_part part = ml_trace_find(trace, since);
    size_t room = (size_t)(trace->written - part.first) + MORE;
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    char *to = luaL_prepbuffsize(&buffer, room * sizeof(struct ml_trace_record));
    if (hub->trace != trace)
        luaL_error(L, "the trace has been stopped");
    ml_trace_settle(trace);
    part = ml_trace_copy(trace, since, to, room);
    luaL_pushresultsize(&buffer, (size_t)part.count * sizeof(struct ml_trace_record));
    return part;
}

void ml_trace_push_copy(lua_State *L, struct ml_trace *trace, ml_time span)
{
    ml_trace_settle(trace);
    double tick = ml_trace_tick(trace);
    lua_createtable(L, 0, 9);
    struct ml_trace_part part = push_records(L, trace, ticks_before(trace, span, tick));
    lua_Integer started = time_at(trace, part.at, tick);
    lua_Integer ended = time_at(trace, ml_trace_now(trace), tick);
    const struct ml_wait_kind *kinds[ML_TRACE_KINDS];
    memcpy(kinds, trace->kinds, sizeof kinds);
    size_t size;
    const char *records = lua_tolstring(L, -1, &size);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "records");
    lua_insert(L, -2);
    set_integer(L, "started", started);
    set_integer(L, "ended", ended);
    lua_pushnumber(L, tick);
    lua_setfield(L, -2, "tick");
    if (part.running != ML_TRACE_NO_TASK)
        set_integer(L, "running", part.running);
    add_names(L, records, size);
    add_kinds(L, kinds);
    lua_remove(L, -2);
}
