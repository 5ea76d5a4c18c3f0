#include "bindings/inspect/profile.h"

#include "bindings/core/hooks.h"
#include "bindings/inspect/profile_collector.h"
#include "bindings/inspect/profile_stack.h"
#include "bindings/inspect/profile_waiting.h"
#include "hub/state/observer.h"
#include "system/signal/profile_timer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Ticks that no sample has taken yet. */
struct ticks {
    atomic_uint running;   /* while a task ran */
    atomic_uint collector; /* those of them that hit the collector */
    atomic_uint hub;       /* while none ran */
};

struct ml_profile {
    struct ml_lua *lua;
    struct ml_profile_options options;
    struct ml_profile_timer timer;
    struct ml_observer observer;
    struct ml_profile_store store;
    struct ml_profile_stack stack; /* of the sample that is being taken */
    struct ml_profile_waiting waiting;
    struct ticks ticks;
    lua_State *scratch; /* in the registry */
    ml_time period;
    ml_time begun_at, halted_at;
    uint64_t samples;
    bool is_on;
};

/* Key in the registry of the scratch thread. */
static const char scratch_key;

/* ---- the signal handler ---- */

/* The task whose code runs; NULL: none, the hub runs. A task that has ended may still be the
 * current one, without a strand, and one that is not there yet the next. */
static struct ml_task *computing_task(const struct ml_hub *hub)
{
    struct ml_task *task = hub->current;
    return task != NULL && task->strand != NULL ? task : NULL;
}

/* Every thread of the chain gets the hook: a generator may end before its next instruction. */
static void arm(struct ml_profile *profile, const struct ml_task *task)
{
    ml_hooks_share(profile->lua, ML_HOOK_PROFILE);
    for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer)
        ml_hooks_touch(ml_thread_of(strand), ML_HOOK_PROFILE);
}

static void on_tick(struct ml_profile_timer *timer, unsigned count, const ucontext_t *interrupted)
{
    struct ml_profile *profile = ml_container_of(timer, struct ml_profile, timer);
    const struct ml_hub *hub = &profile->lua->hub;
    const struct ml_task *task = ml_bank_current == &hub->bank ? computing_task(hub) : NULL;
    if (task == NULL) {
        profile->ticks.hub += count;
        return;
    }
    if (ml_profile_in_collector(interrupted, task->strand))
        profile->ticks.collector += count;
    profile->ticks.running += count;
    arm(profile, task);
}

/* ---- samples ---- */

static void begin_stack(struct ml_profile *profile)
{
    profile->stack.depth = 0;
    profile->stack.has_lines = profile->options.has_lines;
}

static void add_stack(struct ml_profile *profile, unsigned ticks)
{
    ml_profile_store_add(&profile->store, profile->stack.frames, profile->stack.depth, ticks,
                         (ml_time)ticks * profile->period);
    profile->samples += ticks;
}

static void walk(struct ml_profile *profile, struct ml_task *task, lua_State *L, int level)
{
    struct ml_lua_task *lua_task = ml_lua_task_of(task);
    ml_profile_stack_walk(&profile->stack, lua_task, L, level);
    if (profile->options.by_task)
        ml_profile_stack_task(&profile->stack, lua_task, profile->scratch);
}

/* The other tasks wait as long as one runs, or the hub. */
static void sample_waiting(struct ml_profile *profile, const struct ml_task *except, unsigned ticks)
{
    if (profile->options.is_wall)
        ml_profile_waiting_sample(&profile->waiting, except, (ml_time)ticks * profile->period);
}

static void take_hub(struct ml_profile *profile)
{
    unsigned ticks = atomic_exchange(&profile->ticks.hub, 0);
    if (ticks == 0)
        return;
    begin_stack(profile);
    ml_profile_stack_mark(&profile->stack, ML_PROFILE_MARK, "(hub)");
    add_stack(profile, ticks);
    sample_waiting(profile, NULL, ticks);
}

/* Gives the ticks so far to the task, whose innermost frame is at `level` on L. */
static void take(struct ml_profile *profile, struct ml_task *task, lua_State *L, int level)
{
    unsigned running = atomic_exchange(&profile->ticks.running, 0),
             collector = atomic_exchange(&profile->ticks.collector, 0);
    collector = collector < running ? collector : running;
    if (collector > 0) {
        begin_stack(profile);
        ml_profile_stack_mark(&profile->stack, ML_PROFILE_MARK, "(garbage collector)");
        walk(profile, task, L, level);
        add_stack(profile, collector);
    }
    if (running > collector) {
        begin_stack(profile);
        walk(profile, task, L, level);
        add_stack(profile, running - collector);
    }
    sample_waiting(profile, task, running);
}

/* A tick in between shares the reason anew, and its touch holds. */
static void disarm(struct ml_lua *lua, const struct ml_task *task)
{
    ml_hooks_unshare(lua, ML_HOOK_PROFILE);
    for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer)
        ml_hooks_refresh(ml_thread_of(strand));
}

/* A function that is being called did not run at the tick, but its caller did. After a tail call
 * the caller is gone. */
static int level_of(lua_State *L, const lua_Debug *event)
{
    lua_Debug caller;
    return event->event == LUA_HOOKCALL && lua_getstack(L, 1, &caller) != 0;
}

static void on_event(lua_State *L, lua_Debug *event)
{
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_profile *profile = lua->profile;
    struct ml_task *task = lua->hub.current;
    if (profile != NULL && task != NULL && profile->ticks.running > 0)
        take(profile, task, L, level_of(L, event));
    ml_hooks_unshare(lua, ML_HOOK_PROFILE);
    if (task == NULL || ml_thread_of(task->strand) != L)
        ml_hooks_refresh(L);
    if (task != NULL)
        disarm(lua, task);
}

static void on_paused(struct ml_profile *profile, struct ml_task *task)
{
    if (profile->ticks.running == 0)
        return;
    take(profile, task, ml_lua_task_of(task)->parked_on, 0);
    disarm(profile->lua, task);
}

/* Its frames are gone. */
static void on_finished(struct ml_profile *profile)
{
    profile->ticks.hub += atomic_exchange(&profile->ticks.running, 0);
    profile->ticks.collector = 0;
    ml_hooks_unshare(profile->lua, ML_HOOK_PROFILE);
}

static void on_task_event(struct ml_observer *observer, struct ml_task *task,
                          enum ml_task_event event)
{
    struct ml_profile *profile = ml_container_of(observer, struct ml_profile, observer);
    if (event == ML_TASK_PAUSED)
        on_paused(profile, task);
    else if (event == ML_TASK_FINISHED && profile->ticks.running > 0)
        on_finished(profile);
    if (event == ML_TASK_RESUMED && profile->ticks.hub > 0)
        take_hub(profile);
    if (event == ML_TASK_RESUMED && profile->options.is_wall)
        ml_profile_waiting_look(&profile->waiting, NULL);
}

/* ---- its life ---- */

static void push_scratch(lua_State *L)
{
    enum { ROOM = 8 };
    lua_State *scratch = lua_newthread(L);
    luaL_checkstack(scratch, ROOM, NULL);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
}

/* The scratch thread; NULL before the first profile. */
static lua_State *find_scratch(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key);
    lua_State *scratch = lua_tothread(L, -1);
    lua_pop(L, 1);
    return scratch;
}

static struct ml_profile *new_profile(lua_State *scratch, const struct ml_profile_options *options)
{
    struct ml_profile *profile = calloc(1, sizeof *profile);
    if (profile == NULL || ml_profile_store_open(&profile->store) != 0) {
        free(profile);
        return NULL;
    }
    profile->lua = ml_lua_of(scratch);
    profile->options = *options;
    profile->scratch = scratch;
    profile->period = ML_SECOND / (ml_time)options->hz;
    profile->stack.store = &profile->store;
    profile->timer.tick = on_tick;
    profile->observer.on_event = on_task_event;
    profile->begun_at = ml_clock_now();
    ml_profile_waiting_init(&profile->waiting, profile->lua, &profile->stack, profile->period,
                            options->by_task ? scratch : NULL);
    return profile;
}

int ml_profile_start(lua_State *L, const struct ml_profile_options *options)
{
    static const struct ml_hook_kind kind = {
        .events = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, .count = 1, .on_event = on_event};
    struct ml_lua *lua = ml_lua_of(L);
    if (lua->hub.life.is_forked)
        return -ECHILD;
    if (lua->profile != NULL)
        return -EALREADY;
    if (find_scratch(L) == NULL)
        push_scratch(L);
    struct ml_profile *profile = new_profile(find_scratch(L), options);
    if (profile == NULL)
        return -ENOMEM;
    ml_hooks_install(lua, ML_HOOK_PROFILE, &kind);
    lua->profile = profile;
    int error = ml_profile_timer_open(&profile->timer, profile->period);
    profile->is_on = error == 0;
    if (profile->is_on)
        ml_observer_add(&lua->hub, &profile->observer);
    else
        ml_profile_discard(lua);
    return error;
}

void ml_profile_halt(struct ml_lua *lua)
{
    struct ml_profile *profile = lua->profile;
    if (profile == NULL || !profile->is_on)
        return;
    ml_profile_timer_close(&profile->timer);
    ml_observer_remove(&lua->hub, &profile->observer);
    struct ml_task *task = lua->hub.current;
    if (task != NULL && profile->ticks.running > 0)
        take(profile, task, ml_thread_of(task->strand), 0);
    ml_hooks_unshare(lua, ML_HOOK_PROFILE);
    take_hub(profile);
    if (profile->options.is_wall)
        ml_profile_waiting_look(&profile->waiting, task);
    profile->halted_at = ml_clock_now();
    profile->is_on = false;
}

void ml_profile_discard(struct ml_lua *lua)
{
    struct ml_profile *profile = lua->profile;
    if (profile == NULL)
        return;
    ml_profile_halt(lua);
    lua->profile = NULL;
    ml_profile_store_close(&profile->store);
    free(profile);
}

bool ml_profile_get(const struct ml_lua *lua, struct ml_profile_result *result)
{
    const struct ml_profile *profile = lua->profile;
    if (profile == NULL)
        return false;
    ml_time end = profile->is_on ? ml_clock_now() : profile->halted_at;
    *result = (struct ml_profile_result){.store = &profile->store,
                                         .options = &profile->options,
                                         .duration = end - profile->begun_at,
                                         .samples = profile->samples,
                                         .is_forked = profile->timer.process != getpid()};
    return true;
}
