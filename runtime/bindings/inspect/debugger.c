#include "bindings/inspect/debugger.h"

#include "bindings/core/hooks.h"
#include "bindings/core/lua_strand.h"
#include "bindings/inspect/stop.h"

#include <string.h>

/* So many calls of a thread are looked through for functions that have breakpoints; a thread that
 * is deeper is taken to have some. */
enum { MOST_LEVELS = 200 };

/* After so many returns without a use the thread is examined anew. */
enum { CALM_RETURNS = 256 };

static struct ml_debugger *debugger_of(lua_State *L)
{
    return ml_lua_of(L)->debugger;
}

/* ---- lines and returns of one thread ---- */

static bool is_armed(lua_State *L, enum ml_hook_reason reason)
{
    const struct ml_hooks *hooks = &ml_lua_of(L)->hooks;
    const struct ml_hooked *hooked = hooks->count > 0 ? ml_hooks_find(L) : NULL;
    return hooked != NULL && (hooked->reasons & 1u << reason) != 0;
}

/* What was known of the calls of L does not hold any more. */
static void forget_calls(lua_State *L)
{
    const struct ml_hooks *hooks = &ml_lua_of(L)->hooks;
    struct ml_hooked *hooked = hooks->count > 0 ? ml_hooks_find(L) : NULL;
    if (hooked != NULL)
        hooked->leaf = hooked->lined = NULL;
}

/* Lua begins its count of instructions anew whenever a hook is set, so one that is changed at each
 * call would keep a script's own hook, or the instruction limit, from ever counting: beside them a
 * reason stays in force once it is. */
static void set(lua_State *L, enum ml_hook_reason reason, bool on)
{
    if (is_armed(L, reason) == on)
        return;
    if (on)
        ml_hooks_arm(L, reason);
    else if ((lua_gethookmask(L) & LUA_MASKCOUNT) == 0)
        ml_hooks_disarm(L, reason);
}

/* ---- what is wanted where ---- */

/* Whether the function is one of moonlet's own modules. */
static bool is_own_module(const lua_Debug *frame)
{
    return strncmp(frame->source, "=[moonlet", 9) == 0;
}

/* Whether lines of the call `frame` ("S") on L are to be looked at. */
static bool wants_lines(struct ml_debugger *debugger, const struct ml_flow *flow, lua_State *L,
                        const lua_Debug *frame)
{
    bool steps = flow != NULL && flow->aim != ML_AIM_NONE;
    if (frame->what[0] == 'C')
        return false;
    if (debugger->pauses_all || ml_breakpoints_are_in(&debugger->breakpoints, frame))
        return true;
    if (!steps)
        return false;
    if (flow->aim == ML_AIM_OVER)
        return L == flow->L && flow->frame == (const void *)frame->i_ci;
    return flow->aim == ML_AIM_PAUSE || (flow->aim == ML_AIM_IN && !is_own_module(frame));
}

/* Whether a function that has breakpoints is among the calls on L, from `level` on. *lined: the
 * innermost such call; NULL: not known. */
static bool has_breakpoints_below(struct ml_debugger *debugger, lua_State *L, int level,
                                  const void **lined)
{
    lua_Debug frame;
    bool has = false;
    for (; !has && level < MOST_LEVELS && lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "S", &frame);
        has = frame.what[0] != 'C' && ml_breakpoints_are_in(&debugger->breakpoints, &frame);
    }
    *lined = has ? (const void *)frame.i_ci : NULL;
    return has || level == MOST_LEVELS;
}

static struct ml_flow *running_flow(struct ml_debugger *debugger)
{
    return ml_flow_find(&debugger->flows, debugger->lua->hub.current);
}

/* Whether L runs below a hook that serves requests: the innermost calls are the agent's. */
static bool is_interrupted(const struct ml_debugger *debugger, lua_State *L)
{
    const struct ml_task *task = debugger->lua->hub.current;
    return debugger->lua->report.is_composed && !debugger->is_serving && task != NULL &&
           ml_thread_of(task->strand) == L;
}

/* The calls of L began before the hook was there, or the breakpoints have changed. */
static void examine(struct ml_debugger *debugger, const struct ml_flow *flow, lua_State *L)
{
    lua_Debug frame;
    bool has_frame = lua_getstack(L, 0, &frame) && lua_getinfo(L, "S", &frame);
    bool steps = debugger->pauses_all || (flow != NULL && flow->aim != ML_AIM_NONE);
    bool is_unclear = is_interrupted(debugger, L);
    const void *lined;
    if (is_unclear)
        debugger->unclear = L;
    set(L, ML_HOOK_LINES, is_unclear || (has_frame && wants_lines(debugger, flow, L, &frame)));
    set(L, ML_HOOK_RETURNS, has_breakpoints_below(debugger, L, 0, &lined) || steps);
    forget_calls(L);
}

/* Installed as hooks.attended. */
static void attend(struct ml_lua *lua, lua_State *L)
{
    struct ml_debugger *debugger = lua->debugger;
    struct ml_flow *flow = running_flow(debugger);
    if (L == debugger->L || (flow != NULL && flow->is_own))
        return;
    bool steps = flow != NULL && flow->aim != ML_AIM_NONE;
    if (ml_thread_set_add(&debugger->examined, L) || (steps && !is_armed(L, ML_HOOK_RETURNS)))
        examine(debugger, flow, L);
}

/* ---- events ---- */

/*
 * Most calls and returns of a thread change nothing: they are told apart by as few questions to Lua
 * as possible. Its record knows two calls, of which only the addresses are compared:
 *
 * leaf: the call that has begun last, if lines are wanted in its caller as they were in it. No
 * other call has begun when it returns, so nothing is to be done.
 *
 * lined: the innermost call whose lines are wanted. Another one that returns changes nothing.
 * Errors end calls without an event; they end in a C function, whose return is looked at. NULL: not
 * known.
 */

/* Nothing but breakpoints is looked for. */
static bool is_quiet(const struct ml_debugger *debugger)
{
    return !debugger->pauses_all && debugger->flows.steps == 0;
}

static bool has_lines(const struct ml_hooked *hooked)
{
    return (hooked->reasons & 1u << ML_HOOK_LINES) != 0;
}

/* A call has begun; `had_lines`: those of its caller are looked at. */
static void note_call(lua_State *L, const lua_Debug *event, bool had_lines)
{
    struct ml_hooked *hooked = ml_hooks_find(L);
    lua_Debug caller;
    bool is_tail = event->event == LUA_HOOKTAILCALL;
    if (hooked == NULL)
        return;
    bool is_same = had_lines == has_lines(hooked);
    hooked->leaf = is_same && !is_tail ? (const void *)event->i_ci : NULL;
    if (!is_same && had_lines)
        hooked->lined = !is_tail && lua_getstack(L, 1, &caller) ? (const void *)caller.i_ci : NULL;
}

/* The call of a function that may have breakpoints, or below one. */
static void begin_call(struct ml_debugger *debugger, lua_State *L, lua_Debug *event)
{
    struct ml_flow *flow = running_flow(debugger);
    bool had_lines = is_armed(L, ML_HOOK_LINES);
    lua_getinfo(L, "S", event);
    if (event->what[0] == 'C')
        note_call(L, event, had_lines);
    if (event->what[0] == 'C' || (flow != NULL && flow->is_own))
        return;
    if (event->event == LUA_HOOKTAILCALL && flow != NULL && flow->aim == ML_AIM_OVER &&
        L == flow->L && flow->frame == (const void *)event->i_ci)
        ml_flow_aim(&debugger->flows, flow, ML_AIM_OUT); /* the function that was called in its
                                                            place is passed over */
    bool lines = wants_lines(debugger, flow, L, event);
    set(L, ML_HOOK_LINES, lines);
    if (lines)
        set(L, ML_HOOK_RETURNS, true);
    note_call(L, event, had_lines);
}

static void on_call(lua_State *L, lua_Debug *event)
{
    struct ml_debugger *debugger = debugger_of(L);
    const struct ml_hooks *hooks = &debugger->lua->hooks;
    bool may_want =
        !is_quiet(debugger) || ml_breakpoints_may_begin(&debugger->breakpoints, L, event);
    struct ml_hooked *hooked = ml_unlikely(hooks->count > 0) ? ml_hooks_find(L) : NULL;
    if (may_want || (hooked != NULL && has_lines(hooked)))
        begin_call(debugger, L, event);
    else if (hooked != NULL)
        hooked->leaf = event->event == LUA_HOOKCALL ? (const void *)event->i_ci : NULL;
}

/* A return that nobody waited for; after many the thread may have no function with breakpoints any
 * more: errors end calls without an event. */
static void note_calm(struct ml_debugger *debugger, lua_State *L)
{
    struct ml_hooked *hooked = ml_hooks_find(L);
    if (hooked == NULL || ++hooked->calm < CALM_RETURNS)
        return;
    hooked->calm = 0;
    if (!has_breakpoints_below(debugger, L, 1, &hooked->lined))
        set(L, ML_HOOK_RETURNS, false);
}

/* Whether the end of the call changes nothing, if nothing but breakpoints is looked for. */
static bool is_plain_return(struct ml_hooked *hooked, lua_State *L, lua_Debug *event)
{
    const void *call = (const void *)event->i_ci;
    lua_Debug caller;
    bool is_leaf = hooked->leaf == call;
    hooked->leaf = NULL;
    if (is_leaf || has_lines(hooked) || hooked->lined == NULL || hooked->lined == call)
        return is_leaf;
    if (!lua_getstack(L, 1, &caller) || (const void *)caller.i_ci == hooked->lined)
        return false;
    lua_getinfo(L, "l", event);
    return event->currentline > 0; /* of a function in Lua: no error has ended here */
}

static void on_return(lua_State *L, lua_Debug *event)
{
    struct ml_debugger *debugger = debugger_of(L);
    struct ml_flow *flow = running_flow(debugger);
    struct ml_hooked *hooked = ml_hooks_find(L);
    lua_Debug caller;
    bool is_plain = hooked != NULL && is_quiet(debugger) && is_plain_return(hooked, L, event);
    if (is_plain || (flow != NULL && flow->is_own))
        return;
    forget_calls(L);
    bool has_caller = lua_getstack(L, 1, &caller) && lua_getinfo(L, "S", &caller);
    if (flow != NULL && flow->aim != ML_AIM_NONE) {
        lua_getinfo(L, "S", event);
        ml_flow_follow(flow, L, event, event->what[0] == 'C', has_caller ? &caller : NULL);
    }
    bool lines = has_caller && wants_lines(debugger, flow, L, &caller);
    set(L, ML_HOOK_LINES, lines);
    if (!lines && !debugger->pauses_all && (flow == NULL || flow->aim == ML_AIM_NONE))
        note_calm(debugger, L);
}

/* Collects the breakpoints at the line at which the client wants a stop. */
static void find_hits(struct ml_debugger *debugger, lua_State *L, const lua_Debug *frame,
                      struct ml_stop *stop)
{
    int cursor = 0, id;
    while ((id = ml_breakpoints_at(&debugger->breakpoints, frame, &cursor)) != 0)
        if (ml_stop_is_wanted(debugger, L, id) && stop->count < ML_STOP_HITS)
            stop->hits[stop->count++] = id;
}

/* The reason to stop here apart from breakpoints; NULL: there is none. */
static const char *reason_of(const struct ml_debugger *debugger, const struct ml_flow *flow,
                             lua_State *L, const lua_Debug *frame)
{
    enum ml_aim aim = flow != NULL ? flow->aim : ML_AIM_NONE;
    if (is_own_module(frame))
        return NULL;
    if (debugger->pauses_all || aim == ML_AIM_PAUSE)
        return "pause";
    bool is_there =
        L == (flow != NULL ? flow->L : NULL) && flow->frame == (const void *)frame->i_ci;
    bool steps = (aim == ML_AIM_OVER && is_there) || aim == ML_AIM_IN;
    return steps ? "step" : NULL;
}

static void on_line(lua_State *L, lua_Debug *event)
{
    struct ml_debugger *debugger = debugger_of(L);
    struct ml_flow *flow = running_flow(debugger);
    struct ml_stop stop = {0};
    bool is_asked = debugger->lua->report.is_composed; /* a request is served in a hook */
    if (debugger->lua->hub.current == NULL || is_asked || (flow != NULL && flow->is_own))
        return;
    lua_getinfo(L, "Sl", event);
    find_hits(debugger, L, event, &stop);
    stop.reason = stop.count > 0 ? "breakpoint" : reason_of(debugger, flow, L, event);
    if (ml_unlikely(debugger->unclear == L) && stop.reason == NULL)
        set(L, ML_HOOK_LINES, wants_lines(debugger, flow, L, event));
    if (ml_unlikely(debugger->unclear == L))
        debugger->unclear = NULL;
    if (stop.reason == NULL)
        return;
    ml_stop_here(debugger, L, &stop);
    /* What was wanted may have changed meanwhile. */
    flow = running_flow(debugger);
    lua_getinfo(L, "S", event);
    set(L, ML_HOOK_LINES, debugger->is_standing && wants_lines(debugger, flow, L, event));
    set(L, ML_HOOK_RETURNS, debugger->is_standing);
    forget_calls(L);
}

/* ---- all threads ---- */

/* Functions with fewer registers than each that has a breakpoint need no look, unless others than
 * breakpoints are looked for. To be called after a change of either. */
static void pass_over(struct ml_debugger *debugger)
{
    int least = is_quiet(debugger) ? debugger->breakpoints.least : 0;
    ml_hooks_pass_over(debugger->lua, ML_HOOK_DEBUG, least);
}

void ml_debugger_observe(struct ml_observer *observer, struct ml_task *task,
                         enum ml_task_event event)
{
    struct ml_debugger *debugger = ml_container_of(observer, struct ml_debugger, observer);
    if (event == ML_TASK_FINISHED) {
        ml_flow_drop(&debugger->flows, task);
        pass_over(debugger);
    } else if (event == ML_TASK_RESUMED && debugger->is_standing) {
        ml_hooks_attend(ml_thread_of(task->strand));
    }
}

static void examine_chain(struct ml_debugger *debugger, struct ml_task *task)
{
    const struct ml_flow *flow = ml_flow_find(&debugger->flows, task);
    for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer) {
        lua_State *L = ml_thread_of(strand);
        ml_hooks_refresh(L);
        if (debugger->is_standing && (flow == NULL || !flow->is_own)) {
            ml_thread_set_add(&debugger->examined, L);
            examine(debugger, flow, L);
        }
    }
}

/* A thread that is suspended gets the hook when it goes on. */
static void refresh_all(struct ml_debugger *debugger)
{
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(&debugger->lua->hub, &slot)) != NULL;)
        examine_chain(debugger, task);
}

static void stand(struct ml_debugger *debugger)
{
    debugger->is_standing = true;
    debugger->lua->hooks.attended = attend;
    ml_hooks_stand(debugger->lua, ML_HOOK_DEBUG);
}

static void withdraw(struct ml_debugger *debugger)
{
    struct ml_lua *lua = debugger->lua;
    debugger->is_standing = false;
    lua->hooks.attended = NULL;
    ml_hooks_withdraw(lua, ML_HOOK_DEBUG);
    ml_hooks_disarm_all(lua, ML_HOOK_LINES);
    ml_hooks_disarm_all(lua, ML_HOOK_RETURNS);
    ml_thread_set_clear(&debugger->examined);
    debugger->unclear = NULL;
}

void ml_debugger_update(struct ml_debugger *debugger, bool again)
{
    bool is_needed =
        debugger->breakpoints.count > 0 || debugger->pauses_all || debugger->flows.steps > 0;
    bool has_changed = is_needed != debugger->is_standing;
    pass_over(debugger);
    if (has_changed && is_needed)
        stand(debugger);
    else if (has_changed)
        withdraw(debugger);
    if (again)
        ml_thread_set_clear(&debugger->examined);
    if (has_changed || (again && is_needed))
        refresh_all(debugger);
}

void ml_debugger_aim(struct ml_debugger *debugger, struct ml_flow *flow, enum ml_aim aim)
{
    ml_flow_aim(&debugger->flows, flow, aim);
    ml_debugger_update(debugger, false);
    if (aim != ML_AIM_NONE)
        examine_chain(debugger, &flow->task->task);
}

bool ml_debugger_release(struct ml_debugger *debugger, struct ml_flow *flow, enum ml_aim aim)
{
    lua_Debug frame;
    if (flow->stop == 0 || flow->is_released)
        return false;
    flow->is_released = true;
    flow->L = flow->stopped_on;
    bool has_frame = lua_getstack(flow->L, 0, &frame) && lua_status(flow->L) == LUA_OK;
    flow->frame = has_frame ? (const void *)frame.i_ci : NULL;
    ml_debugger_aim(debugger, flow, aim);
    ml_stop_end(&flow->task->task);
    return true;
}

bool ml_debugger_own(struct ml_lua *lua)
{
    struct ml_debugger *debugger = lua->debugger;
    if (debugger == NULL || !debugger->is_attached)
        return true;
    struct ml_flow *flow = ml_flow_obtain(&debugger->flows, lua->hub.current);
    if (flow != NULL)
        flow->is_own = true;
    return flow != NULL;
}

bool ml_debugger_pause(struct ml_debugger *debugger, struct ml_task *task)
{
    struct ml_flow *flow = ml_flow_obtain(&debugger->flows, task);
    if (flow == NULL)
        return false;
    if (!flow->is_own && flow->stop == 0)
        ml_debugger_aim(debugger, flow, ML_AIM_PAUSE);
    return true;
}

void ml_debugger_open(struct ml_lua *lua)
{
    static const struct ml_hook_kind calls = {.events = LUA_MASKCALL, .on_event = on_call};
    static const struct ml_hook_kind lines = {.events = LUA_MASKLINE, .on_event = on_line};
    static const struct ml_hook_kind returns = {.events = LUA_MASKRET, .on_event = on_return};
    ml_hooks_install(lua, ML_HOOK_DEBUG, &calls);
    ml_hooks_install(lua, ML_HOOK_LINES, &lines);
    ml_hooks_install(lua, ML_HOOK_RETURNS, &returns);
}
