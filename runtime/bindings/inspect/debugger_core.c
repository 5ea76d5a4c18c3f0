/* moonlet.inspect.debugger.core: the debugger as its client in Lua sees it. */
#include "bindings/core/lua_strand.h"
#include "bindings/core/object.h"
#include "bindings/core/task_view.h"
#include "bindings/inspect/agent.h"
#include "bindings/inspect/debugger.h"
#include "bindings/inspect/stop.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

/* Keys in the registry: the debugger, its Lua thread. */
static const char debugger_key, thread_key;

static void release_all(struct ml_debugger *debugger)
{
    for (struct ml_flow *flow = NULL; (flow = ml_flow_next(&debugger->flows, flow)) != NULL;)
        ml_debugger_release(debugger, flow, ML_AIM_NONE);
}

/* Those of tasks that are not stopped: nobody sees any more when such a task ends. */
static void drop_others(struct ml_debugger *debugger)
{
    struct ml_flow *flow = ml_flow_next(&debugger->flows, NULL);
    while (flow != NULL) {
        struct ml_flow *next = ml_flow_next(&debugger->flows, flow);
        if (flow->stop == 0)
            ml_flow_drop(&debugger->flows, &flow->task->task);
        flow = next;
    }
}

/* The program runs as without a debugger. */
static void let_go(struct ml_debugger *debugger)
{
    ml_breakpoints_clear(&debugger->breakpoints);
    debugger->is_attached = debugger->pauses_all = debugger->freezes = false;
    debugger->serve = NULL;
    debugger->stops_at_uncaught = debugger->stops_at_raised = false;
    ml_stop_install(debugger);
    ml_flows_rest(&debugger->flows);
    release_all(debugger);
    drop_others(debugger);
    ml_debugger_update(debugger, false);
    ml_observer_remove(&debugger->lua->hub, &debugger->observer);
}

static int collect(lua_State *L)
{
    struct ml_debugger *debugger = lua_touserdata(L, 1);
    let_go(debugger);
    ml_flows_release(&debugger->flows);
    ml_thread_set_clear(&debugger->examined);
    debugger->lua->debugger = NULL;
    return 0;
}

/* It is made once, and stays. */
static struct ml_debugger *obtain(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (lua->debugger != NULL)
        return lua->debugger;
    lua_State *thread = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &thread_key);
    struct ml_debugger *debugger = lua_newuserdatauv(L, sizeof *debugger, 0);
    memset(debugger, 0, sizeof *debugger);
    debugger->lua = lua;
    debugger->L = thread;
    debugger->observer.on_event = ml_debugger_observe;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &debugger_key);
    lua_sethook(thread, NULL, 0, 0);
    ml_debugger_open(lua);
    lua->debugger = debugger;
    return debugger;
}

static struct ml_debugger *check_attached(lua_State *L)
{
    struct ml_debugger *debugger = ml_lua_of(L)->debugger;
    if (debugger == NULL)
        luaL_error(L, "no debugger is attached");
    return debugger;
}

/* attach(client): `client` has the functions hit, stopped, passed. */
static int attach(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct ml_debugger *debugger = obtain(L);
    ml_stop_open(L);
    debugger->is_attached = true;
    ml_observer_remove(&debugger->lua->hub, &debugger->observer);
    ml_observer_add(&debugger->lua->hub, &debugger->observer);
    return 0;
}

/* stand(on): code that may not wait stops, too; all tasks stand meanwhile, and the thread serves
 * the inspector. */
static int stand(lua_State *L)
{
    check_attached(L)->serve = lua_toboolean(L, 1) ? ml_agent_stand : NULL;
    return 0;
}

static int detach(lua_State *L)
{
    if (ml_lua_of(L)->debugger != NULL)
        let_go(ml_lua_of(L)->debugger);
    return 0;
}

/* ---- breakpoints ---- */

enum { MOST_OWNERS = 64 };

static int field(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    int value = (int)luaL_optinteger(L, -1, 0);
    lua_pop(L, 1);
    return value;
}

/* Reads the list on top of the stack, {{first=, last=, entry=, size=} ...}, if it is one. */
static int read_owners(lua_State *L, struct ml_owner *owners)
{
    int count = 0, list = lua_gettop(L);
    size_t length = lua_istable(L, list) ? lua_rawlen(L, list) : 0;
    for (; (size_t)count < length && length <= MOST_OWNERS; count++) {
        lua_rawgeti(L, list, count + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        owners[count] = (struct ml_owner){.first = field(L, list + 1, "first"),
                                          .last = field(L, list + 1, "last"),
                                          .entry = field(L, list + 1, "entry"),
                                          .size = field(L, list + 1, "size")};
        lua_pop(L, 1);
    }
    return count;
}

/* The breakpoint on top of the stack: {id, line, path or source, owners}. */
static bool add(lua_State *L, struct ml_debugger *debugger)
{
    struct ml_owner owners[MOST_OWNERS];
    int item = lua_gettop(L);
    luaL_checktype(L, item, LUA_TTABLE);
    struct ml_breakpoint breakpoint = {.id = field(L, item, "id"), .line = field(L, item, "line")};
    breakpoint.is_path = lua_getfield(L, item, "path") == LUA_TSTRING;
    if (!breakpoint.is_path)
        lua_getfield(L, item, "source");
    breakpoint.chunk = (char *)luaL_checklstring(L, -1, &breakpoint.length);
    lua_getfield(L, item, "owners");
    breakpoint.owner_count = read_owners(L, owners);
    breakpoint.owners = owners;
    bool is_added = ml_breakpoints_add(&debugger->breakpoints, &breakpoint);
    lua_settop(L, item - 1);
    return is_added;
}

/* breakpoints(list): all there are from now on. */
static int set_breakpoints(lua_State *L)
{
    struct ml_debugger *debugger = check_attached(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    ml_breakpoints_clear(&debugger->breakpoints);
    bool is_good = true;
    for (lua_Integer i = 1; is_good && lua_rawgeti(L, 1, i) != LUA_TNIL; i++)
        is_good = add(L, debugger);
    ml_debugger_update(debugger, true);
    return is_good ? 0 : luaL_error(L, "not enough memory");
}

/* ---- tasks ---- */

/* The live task with the id at `index`; NULL: there is none. */
static struct ml_task *find_task(lua_State *L, int index)
{
    uint64_t id = (uint64_t)luaL_checkinteger(L, index);
    struct ml_task *task;
    uint32_t slot = 0;
    while ((task = ml_hub_next_task(&ml_lua_of(L)->hub, &slot)) != NULL && task->id != id)
        ;
    return task;
}

/* pause([id]): the task, or every task, stops at its next line. False: there is no such task. */
static int pause_tasks(lua_State *L)
{
    struct ml_debugger *debugger = check_attached(L);
    if (lua_isnoneornil(L, 1)) {
        debugger->pauses_all = true;
        ml_debugger_update(debugger, true);
        lua_pushboolean(L, 1);
        return 1;
    }
    struct ml_task *task = find_task(L, 1);
    if (task != NULL && !ml_debugger_pause(debugger, task))
        return luaL_error(L, "not enough memory");
    lua_pushboolean(L, task != NULL);
    return 1;
}

/* resume(id, aim): lets a stopped task go on, or forgets that it is to pause. False: it is not
 * stopped. */
static int resume(lua_State *L)
{
    static const char *const names[] = {"continue", "in", "over", "out", NULL};
    static const enum ml_aim aims[] = {ML_AIM_NONE, ML_AIM_IN, ML_AIM_OVER, ML_AIM_OUT};
    struct ml_debugger *debugger = check_attached(L);
    enum ml_aim aim = aims[luaL_checkoption(L, 2, "continue", names)];
    struct ml_task *task = find_task(L, 1);
    struct ml_flow *flow = ml_flow_find(&debugger->flows, task);
    bool is_stopped = flow != NULL && ml_debugger_release(debugger, flow, aim);
    if (flow != NULL && !is_stopped && flow->stop == 0)
        ml_debugger_aim(debugger, flow, ML_AIM_NONE);
    lua_pushboolean(L, is_stopped);
    return 1;
}

/* resume_all(): every task goes on. */
static int resume_all(lua_State *L)
{
    struct ml_debugger *debugger = check_attached(L);
    debugger->pauses_all = false;
    ml_flows_rest(&debugger->flows);
    release_all(debugger);
    ml_debugger_update(debugger, true);
    return 0;
}

/* own(): the running task works for the debugger, and never stops. */
static int own(lua_State *L)
{
    check_attached(L);
    return ml_debugger_own(ml_lua_of(L)) ? 0 : luaL_error(L, "not enough memory");
}

/* freeze(on): deadlines of stopped tasks stand still. */
static int freeze(lua_State *L)
{
    check_attached(L)->freezes = lua_toboolean(L, 1);
    return 0;
}

static const char *state_of(const struct ml_flow *flow, const struct ml_task *task)
{
    static const char *const states[] = {"new", "ready", "running", "waiting", "ended"};
    return flow != NULL && flow->stop != 0 ? "stopped" : states[task->state];
}

/* Pushes {id, name, state, waits_for, stop}. */
static void push_task(lua_State *L, struct ml_task *task)
{
    struct ml_debugger *debugger = ml_lua_of(L)->debugger;
    const struct ml_flow *flow = debugger != NULL ? ml_flow_find(&debugger->flows, task) : NULL;
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, (lua_Integer)task->id);
    lua_setfield(L, -2, "id");
    ml_lua_push_task(L, ml_lua_task_of(task));
    ml_lua_push_task_name(L, lua_gettop(L));
    lua_setfield(L, -3, "name");
    lua_pop(L, 1);
    lua_pushstring(L, state_of(flow, task));
    lua_setfield(L, -2, "state");
    lua_pushinteger(L, flow != NULL ? (lua_Integer)flow->stop : 0);
    lua_setfield(L, -2, "stop");
    lua_pushboolean(L, flow != NULL && flow->is_own);
    lua_setfield(L, -2, "own");
    lua_pushinteger(L, (lua_Integer)task->held);
    lua_setfield(L, -2, "locks");
    lua_pushinteger(L, (lua_Integer)task->switches);
    lua_setfield(L, -2, "switches");
    if (task->state == ML_TASK_WAITING) {
        lua_pushstring(L, task->waits_for->text);
        lua_setfield(L, -2, "waits_for");
    }
}

/* tasks([most]): all live tasks, or so many of them. */
static int tasks(lua_State *L)
{
    lua_Integer most = luaL_optinteger(L, 1, LUA_MAXINTEGER), count = 0;
    struct ml_task *task;
    lua_settop(L, 0);
    lua_newtable(L);
    for (uint32_t slot = 0;
         count < most && (task = ml_hub_next_task(&ml_lua_of(L)->hub, &slot)) != NULL;) {
        push_task(L, task);
        lua_rawseti(L, 1, ++count);
    }
    return 1;
}

static int describe_task(lua_State *L)
{
    struct ml_task *task = find_task(L, 1);
    if (task == NULL)
        lua_pushnil(L);
    else
        push_task(L, task);
    return 1;
}

static void append_thread(lua_State *L, lua_State *thread)
{
    *ml_lua_mark(thread) |= ML_MARK_KNOWN; /* it serves no other task while a table has it */
    lua_checkstack(thread, 1);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* threads(id): the Lua threads of a task, the innermost first. */
static int threads(lua_State *L)
{
    struct ml_task *base = find_task(L, 1);
    lua_newtable(L);
    if (base == NULL)
        return 1;
    struct ml_lua_task *task = ml_lua_task_of(base);
    bool waits = base->state != ML_TASK_RUNNING && base->state != ML_TASK_NEW;
    lua_State *innermost = ml_thread_of(base->strand);
    if (waits && task->parked_on != innermost)
        append_thread(L, task->parked_on);
    task->thread_is_known = true;
    for (struct ml_strand *strand = base->strand; strand != NULL; strand = strand->resumer)
        append_thread(L, ml_thread_of(strand));
    return 1;
}

/* ---- values ---- */

/* identity(value): a text that two values share only if they are the same: "table: 0x55..." */
static int identity(lua_State *L)
{
    luaL_checkany(L, 1);
    const void *address = lua_topointer(L, 1);
    lua_pushfstring(L, "%s: %p", luaL_typename(L, 1), address);
    return 1;
}

/* real_path(path): absolute, links followed if the file is there. */
static int real_path(lua_State *L)
{
    char path[PATH_MAX];
    ml_breakpoint_path(luaL_checkstring(L, 1), path);
    lua_pushstring(L, path);
    return 1;
}

/* exceptions(uncaught, raised): tasks stop at such errors. */
static int set_exceptions(lua_State *L)
{
    struct ml_debugger *debugger = check_attached(L);
    debugger->stops_at_uncaught = lua_toboolean(L, 1);
    debugger->stops_at_raised = lua_toboolean(L, 2);
    ml_stop_install(debugger);
    return 0;
}

int ml_open_inspect_debugger(lua_State *L)
{
    static const luaL_Reg functions[] = {{"attach", attach},
                                         {"detach", detach},
                                         {"stand", stand},
                                         {"breakpoints", set_breakpoints},
                                         {"pause", pause_tasks},
                                         {"resume", resume},
                                         {"resume_all", resume_all},
                                         {"own", own},
                                         {"freeze", freeze},
                                         {"tasks", tasks},
                                         {"task", describe_task},
                                         {"threads", threads},
                                         {"identity", identity},
                                         {"real_path", real_path},
                                         {"exceptions", set_exceptions},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
