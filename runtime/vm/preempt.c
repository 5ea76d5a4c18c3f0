#include "vm/preempt.h"

#include "bindings/core/hooks.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/preempting.h"
#include "hub/switch/switch.h"
#include "vm/moonlet_state.h"
#include "vm/poke.h"
#include "vm/running.h"
#include "vm/slow.h"
#include "vm/watchdog.h"

#include <errno.h>

/* The slice of a task that is to be preempted in a program that preempts none. */
enum { DEFAULT_MILLISECONDS = 10 };

/* Arming walks all calls of a chain (435 us at a depth of 150,000): it may take a part in so many
 * of the time. */
enum { ARMING_PART = 100 };

/* Between two looks at a task whose hook is armed and has not run. */
#define PENDING (10 * ML_MILLISECOND)

/* ---- in the handler ---- */

static ml_time slice_of(const struct moonlet *m, struct ml_task *task)
{
    unsigned own = ml_lua_task_of(task)->preempt_after;
    return own == 0                    ? m->preempting.slice
           : own == ML_NEVER_PREEMPTED ? ML_FOREVER
                                       : own * ML_MILLISECOND;
}

static void arm(struct moonlet *m, struct ml_task *task, ml_time now)
{
    struct ml_preempting *preempting = &m->preempting;
    preempting->task = task->id;
    preempting->switches = task->switches;
    ml_time before = ml_poke_cpu_time(m); /* the thread may lose the processor meanwhile */
    ml_poke_arm(m, task, ML_HOOK_PREEMPT);
    ml_time took = ml_poke_cpu_time(m) - before;
    preempting->free_at = ml_time_after(now, took * ARMING_PART);
}

/* When the running task is to be preempted. */
static ml_time preempt_at(const struct moonlet *m, struct ml_task *task, ml_time since)
{
    ml_time at = ml_watch_due(since, slice_of(m, task));
    return at < m->preempting.free_at ? m->preempting.free_at : at;
}

/* Whether the hook was armed for what runs. */
static bool is_meant(const struct ml_preempting *preempting, const struct ml_task *task)
{
    return preempting->task == task->id && preempting->switches == task->switches;
}

/* The running task keeps the thread. If it is in a C function since the hook was armed, there is no
 * hurry to arm it again. */
static void look(struct moonlet *m, struct ml_task *task)
{
    struct ml_preempting *preempting = &m->preempting;
    ml_time since, computed, slow_at, now = ml_clock_now();
    if (!ml_watch_sees(m, &since, &computed))
        return;
    ml_time at = preempt_at(m, task, since);
    bool was_armed = is_meant(preempting, task), was_due = was_armed && preempting->is_due;
    bool is_slow = ml_slow_look(m, task, computed, &slow_at);
    preempting->is_slow = is_slow || (was_armed && preempting->is_slow);
    preempting->is_due = now >= at || was_due;
    if (now >= at || is_slow)
        arm(m, task, now);
    if (was_due)
        m->watch.look_at = ml_time_after(now, PENDING);
    else if (now < at)
        m->watch.look_at = ml_time_earlier(at, slow_at);
}

/* ---- in the hook ---- */

static void disarm(struct moonlet *m, lua_State *L)
{
    ml_hooks_unshare(&m->lua, ML_HOOK_PREEMPT);
    ml_hooks_refresh(L);
    if (m->lua.hub.current != NULL)
        ml_chain_refresh(m->lua.hub.current);
}

static void give_way(struct ml_hub *hub)
{
    ml_watch_passed(ml_moonlet_of(hub->owner));
    ml_give_way(hub);
}

/*
 * The events are a return, by which a C function that has computed is named, and an instruction,
 * before which the task may be left. If it may not, the watchdog pokes again soon.
 */
static void on_event(lua_State *L, lua_Debug *event)
{
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    struct ml_preempting *preempting = &m->preempting;
    struct ml_task *current = m->lua.hub.current;
    bool is_for_this = current != NULL && is_meant(preempting, current);
    bool is_slow = is_for_this && preempting->is_slow, is_due = is_for_this && preempting->is_due;
    bool can_switch = event->event == LUA_HOOKCOUNT;
    preempting->is_slow = false;
    preempting->is_due = is_due && !can_switch;
    if (!preempting->is_due)
        disarm(m, L);
    if (is_slow)
        ml_slow_tell(m, L, event);
    if (is_due && can_switch && !ml_preempt(L, event, give_way))
        ml_watch_again(m);
}

/* ---- options ---- */

/* Has the watchdog look as often as the shortest slice demands. */
static int watch(struct moonlet *m)
{
    int error = ml_poke_open(m);
    m->poke.look = look;
    if (error == 0)
        error = ml_watch(m, m->preempting.shortest);
    return error;
}

static int watch_task(struct ml_lua *lua, unsigned milliseconds)
{
    struct moonlet *m = ml_moonlet_of(lua);
    if (m->options.poke_signal < 0 || lua->hub.life.is_forked)
        return 0;
    if (milliseconds == 0 && m->preempting.slice != ML_FOREVER)
        return 0;
    unsigned slice = milliseconds != 0 ? milliseconds : DEFAULT_MILLISECONDS;
    int error = 0;
    if (slice * ML_MILLISECOND < m->preempting.shortest) {
        m->preempting.shortest = slice * ML_MILLISECOND;
        error = watch(m);
    }
    return error == 0 ? (int)slice : error;
}

/* A second task: from now on slow ones keep others waiting. Without a thread that watches there are
 * no warnings. */
static void on_task(struct ml_observer *observer, struct ml_task *task, enum ml_task_event event)
{
    if (event != ML_TASK_SPAWNED || task->hub->tasks.alive < 2)
        return;
    struct moonlet *m = ml_moonlet_of(task->hub->owner);
    ml_observer_remove(task->hub, observer);
    m->preempting.shortest = ml_time_earlier(m->preempting.shortest, m->slow.limit);
    if (!task->hub->life.is_forked)
        watch(m);
}

static bool is_span(double seconds)
{
    return seconds == 0 || seconds >= 0.001;
}

bool ml_preempt_is_possible(const struct moonlet_options *options)
{
    return is_span(options->preempt) && is_span(options->slow);
}

/* An option as a span; ML_FOREVER: off. */
static ml_time span_of(const struct moonlet *m, double seconds)
{
    bool is_on = seconds > 0 && m->options.poke_signal >= 0;
    return is_on ? ml_time_from_seconds(seconds) : ML_FOREVER;
}

int ml_preempt_open(struct moonlet *m)
{
    static const struct ml_hook_kind kind = {
        .events = LUA_MASKCOUNT | LUA_MASKRET, .count = 1, .on_event = on_event};
    struct ml_preempting *preempting = &m->preempting;
    ml_hooks_install(&m->lua, ML_HOOK_PREEMPT, &kind);
    m->lua.watch_task = watch_task;
    m->slow.limit = span_of(m, m->options.slow);
    preempting->slice = preempting->shortest = span_of(m, m->options.preempt);
    preempting->observer.on_event = on_task;
    if (m->slow.limit != ML_FOREVER) {
        ml_observer_add(&m->lua.hub, &preempting->observer);
        ml_poke_open(m); /* dumps use it, too; without it there is less to tell */
    }
    return preempting->slice != ML_FOREVER ? watch(m) : 0;
}
