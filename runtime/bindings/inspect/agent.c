#include "bindings/inspect/agent.h"

#include "bindings/core/failure.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/object.h"
#include "bindings/inspect/debugger.h"
#include "bindings/inspect/frames.h"
#include "bindings/inspect/inspector.h"
#include "bindings/inspect/wire.h"
#include "bindings/thread/outcome.h"
#include "bindings/thread/thread_channel.h"

static const char request_type[] = "inspect.request";

/* How often a thread that stands still for the inspector looks whether the program is to end. */
#define LOOK (100 * ML_MILLISECOND)

/* The most requests that are served in tasks at a time. */
enum { MOST_TASKS = 64 };

/* Owns a request that is being served. */
struct served {
    struct ml_request *request; /* NULL: it was answered */
    struct ml_link link;        /* in lua->inspect.unbegun, until its task begins; then, if its
                                   function does not wait, in lua->inspect.brief */
    const struct ml_task *task; /* that has begun */
};

static void leave_list(struct served *served)
{
    if (ml_link_is_in_list(&served->link))
        ml_list_remove(&served->link);
}

/* The running task carries it out. */
static void begin(struct ml_lua *lua, struct served *served)
{
    leave_list(served);
    served->task = lua->hub.current;
    if (served->request != NULL && !served->request->may_wait)
        ml_list_insert(&lua->inspect.brief, &served->link);
}

static void answer(struct ml_lua *lua, struct served *served, struct ml_parcel *outcome)
{
    leave_list(served);
    ml_request_finish(served->request, outcome);
    served->request = NULL;
    lua->inspect.serving--;
}

/* The task was dropped, or never began. */
static int collect_served(lua_State *L)
{
    struct served *served = ml_check_object(L, 1, request_type);
    if (served->request != NULL)
        answer(ml_lua_of(L), served, NULL);
    return 0;
}

/* Pushes the object of a request. */
static struct served *push_served(lua_State *L)
{
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", collect_served}, {NULL, NULL}};
    if (luaL_getmetatable(L, request_type) == LUA_TNIL)
        ml_open_object_type(L, request_type, methods, metamethods);
    lua_pop(L, 1);
    return ml_push_object(L, request_type, sizeof(struct served), 0);
}

/* Stack: the parcel of a request, a light userdata. Calls the function of the agent. Raises. */
static int carry_out(lua_State *L)
{
    const struct ml_parcel *call = lua_touserdata(L, 1);
    lua_settop(L, 0);
    lua_pushliteral(L, "moonlet.inspect.agent");
    lua_pushliteral(L, "answer");
    ml_push_member(L);
    int count = ml_unpack(L, call);
    lua_call(L, count, LUA_MULTRET);
    return lua_gettop(L);
}

/* Serves a request on L, whose stack stays as it was. The outcome; NULL: no memory. */
static struct ml_parcel *outcome_of(lua_State *L, const struct ml_parcel *call)
{
    int top = lua_gettop(L);
    if (!lua_checkstack(L, LUA_MINSTACK))
        return NULL;
    lua_pushcfunction(L, ml_thread_keep_error);
    lua_pushcfunction(L, carry_out);
    lua_pushlightuserdata(L, (void *)call);
    int status = lua_pcall(L, 1, LUA_MULTRET, top + 1);
    struct ml_parcel *outcome =
        status == LUA_OK ? ml_outcome_of_results(L, top + 2) : ml_outcome_of_error(L);
    lua_settop(L, top);
    return outcome;
}

/* ---- in a task ---- */

/* The body of a task. Stack: the object of a request. */
static int serve_in_task(lua_State *L)
{
    struct served *served = ml_check_object(L, 1, request_type);
    begin(ml_lua_of(L), served);
    ml_debugger_own(ml_lua_of(L));
    if (served->request == NULL) /* code that computed has answered it meanwhile */
        return 0;
    struct ml_parcel *outcome = outcome_of(L, served->request->call);
    answer(ml_lua_of(L), served, outcome);
    ml_wire_ring(ml_lua_of(L)->inspect.wire);
    return 0;
}

/* A request that is about to get a task. */
struct beginning {
    struct ml_request *request;
    struct served *served; /* NULL: it has no object yet */
};

/* Stack: a struct beginning, a light userdata. Raises. */
static int spawn(lua_State *L)
{
    static const struct ml_lua_spawn options = {
        .name = "inspector", .name_index = 2, .is_daemon = true, .is_quiet = true};
    struct beginning *beginning = lua_touserdata(L, 1);
    lua_pushliteral(L, "inspector");
    lua_pushcfunction(L, serve_in_task);
    beginning->served = push_served(L);
    beginning->served->request = beginning->request;
    beginning->served->link.next = NULL;
    ml_list_insert(&ml_lua_of(L)->inspect.unbegun, &beginning->served->link);
    return ml_lua_spawn(L, &options, 2) != 0 ? luaL_error(L, "not enough memory") : 0;
}

/* Begins a task for the request, which owns it from now on; without memory it gets no answer. */
static void begin_task(struct ml_lua *lua, struct ml_request *request)
{
    struct beginning beginning = {request, NULL};
    lua_State *L = lua->aside;
    int top = lua_gettop(L), status = LUA_ERRMEM;
    lua->inspect.serving++;
    if (lua_checkstack(L, LUA_MINSTACK)) {
        lua_pushcfunction(L, spawn);
        lua_pushlightuserdata(L, &beginning);
        status = lua_pcall(L, 1, 0, 0);
    }
    if (status != LUA_OK && beginning.served != NULL) {
        leave_list(beginning.served);
        beginning.served->request = NULL;
    }
    if (status != LUA_OK) {
        ml_request_finish(request, NULL);
        lua->inspect.serving--;
    }
    lua_settop(L, top);
}

static void deliver(struct ml_letter *letter)
{
    struct ml_wire *wire = ml_container_of(letter, struct ml_wire, letter);
    struct ml_lua *lua = wire->lua;
    struct ml_request *request;
    while (!lua->is_closing && lua->inspect.serving < MOST_TASKS &&
           (request = ml_wire_take(wire, false)) != NULL)
        begin_task(lua, request);
}

void ml_agent_open(struct ml_lua *lua, struct ml_wire *wire)
{
    wire->lua = lua;
    wire->letter.deliver = deliver;
    ml_list_init(&lua->inspect.unbegun);
    ml_list_init(&lua->inspect.brief);
    lua->inspect.wire = wire;
}

void ml_agent_close(struct ml_lua *lua)
{
    if (!lua->hub.life.is_forked)
        ml_wire_cut(lua->inspect.wire);
    lua->inspect.wire = NULL;
}

/* ---- at once ---- */

bool ml_agent_is_ready(const struct ml_lua *lua)
{
    const struct ml_link *head = &lua->inspect.brief, *link = head->next;
    if (lua->inspect.wire == NULL || lua->own_loads > 0)
        return false;
    while (link != head && ml_container_of(link, struct served, link)->task != lua->hub.current)
        link = link->next;
    return link == head;
}

/* The next one whose task has not begun, which code that computes would keep from it; NULL: there
 * is none. */
static struct served *next_unbegun(struct ml_lua *lua)
{
    struct ml_link *head = &lua->inspect.unbegun, *link = head->next;
    while (link != head && ml_container_of(link, struct served, link)->request->may_wait)
        link = link->next;
    return link != head ? ml_container_of(link, struct served, link) : NULL;
}

static void serve_unbegun(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    struct served *served;
    while (lua->inspect.wire != NULL && (served = next_unbegun(lua)) != NULL) {
        struct ml_request *request = served->request; /* from now on not of the object, which may
                                                         be collected meanwhile */
        leave_list(served);
        served->request = NULL;
        lua->inspect.serving--;
        ml_request_finish(request, outcome_of(L, request->call));
    }
}

void ml_agent_serve(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_request *request;
    bool was_composed = lua->report.is_composed;
    lua->report.is_composed = true;
    serve_unbegun(L);
    while (lua->inspect.wire != NULL && (request = ml_wire_take(lua->inspect.wire, true)) != NULL)
        ml_request_finish(request, outcome_of(L, request->call));
    lua->report.is_composed = was_composed;
}

/* Whether the program is to end. */
static bool is_ending(struct ml_lua *lua)
{
    return lua->exit.is_asked || lua->inspect.inspectors->is_interrupted(lua);
}

bool ml_agent_stand(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (lua->inspect.wire == NULL || lua->hub.life.is_forked || is_ending(lua))
        return false;
    bool has_inspector = ml_wire_await(lua->inspect.wire, ml_clock_now() + LOOK);
    ml_agent_serve(L);
    return has_inspector;
}

/* stand_still() -> true. The thread serves requests, and does nothing else, until one calls
 * go_on(). False: there is no inspector, or the program is to end. */
static int stand_still(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    bool goes_on = true;
    lua->inspect.stands_still = true;
    while (lua->inspect.stands_still && goes_on)
        goes_on = ml_agent_stand(L);
    lua_pushboolean(L, !lua->inspect.stands_still);
    lua->inspect.stands_still = false;
    return 1;
}

/* go_on(): for functions of requests. */
static int go_on(lua_State *L)
{
    ml_lua_of(L)->inspect.stands_still = false;
    return 0;
}

/* ---- a task's variables ---- */

/* Whether the request is served where its function may wait. */
static int may_wait(lua_State *L)
{
    lua_pushboolean(L, !ml_lua_of(L)->report.is_composed);
    return 1;
}

static struct ml_task *find_task(lua_State *L, int index)
{
    const struct ml_hub *hub = &ml_lua_of(L)->hub;
    uint64_t id = (uint64_t)luaL_checkinteger(L, index);
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;)
        if (task->id == id)
            return task;
    return NULL;
}

/* switches(id) -> how often the task has let others run; nil: it has ended. */
static int switches(lua_State *L)
{
    const struct ml_task *task = find_task(L, 1);
    if (task == NULL)
        luaL_pushfail(L);
    else
        lua_pushinteger(L, task->switches);
    return 1;
}

/* Goes outwards behind the agent's calls, to the code that the request has interrupted. */
static bool skip_own_calls(struct ml_frames *frames)
{
    lua_Debug frame;
    bool is_found = false;
    while (!is_found && ml_frames_next(frames, &frame)) {
        lua_getinfo(frames->thread, "f", &frame);
        is_found = lua_tocfunction(frames->thread, -1) == carry_out;
        lua_pop(frames->thread, 1);
    }
    return is_found;
}

/* call(id, number) -> the thread and the level of a task's call, counted from 0 at the innermost;
 * false: it has no such call; nil: there is no such task. Of the running task only from a
 * coroutine, so that the level stays what it is. */
static int call(lua_State *L)
{
    struct ml_task *task = find_task(L, 1);
    lua_Integer number = luaL_checkinteger(L, 2);
    if (task == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    lua_Debug frame;
    bool is_running = task == ml_lua_of(L)->hub.current;
    struct ml_frames frames = ml_frames(ml_lua_task_of(task), is_running ? L : NULL, 0);
    bool is_there = number >= 0 && (!is_running || skip_own_calls(&frames));
    for (lua_Integer i = 0; is_there && i <= number; i++)
        is_there = ml_frames_next(&frames, &frame);
    lua_pushboolean(L, 0);
    if (!is_there || !lua_checkstack(frames.thread, 1))
        return 1;
    lua_pushthread(frames.thread);
    lua_xmove(frames.thread, L, 1);
    lua_pushinteger(L, frames.level);
    return 2;
}

/* ---- events ---- */

/* tell(kind, ...) -> whether the event is on its way to the inspector. Never waits. Raises for
 * values that cannot be copied. */
static int tell(lua_State *L)
{
    luaL_checkstring(L, 1);
    struct ml_wire *wire = ml_lua_of(L)->inspect.wire;
    bool is_told =
        wire != NULL && ml_wire_tell(wire, ml_pack(L, 1, lua_gettop(L), "argument #%d", 1));
    lua_pushboolean(L, is_told);
    return 1;
}

/* start() -> true, or nil, message, code: this runtime has an inspector from now on. */
static int start(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    return ml_push_outcome(L, lua->inspect.inspectors->start(lua));
}

/* has_inspector(): whether one was started, and has not ended. */
static int has_inspector(lua_State *L)
{
    struct ml_wire *wire = ml_lua_of(L)->inspect.wire;
    lua_pushboolean(L, wire != NULL && ml_wire_has_inspector(wire));
    return 1;
}

int ml_open_inspect_agent(lua_State *L)
{
    static const luaL_Reg functions[] = {{"start", start},
                                         {"has_inspector", has_inspector},
                                         {"may_wait", may_wait},
                                         {"switches", switches},
                                         {"call", call},
                                         {"tell", tell},
                                         {"stand_still", stand_still},
                                         {"go_on", go_on},
                                         {NULL, NULL}};
    ml_open_thread_channel_type(L);
    ml_failure_push_type(L);
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
