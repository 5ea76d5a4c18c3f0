#include "vm/inspector.h"

#include "bindings/inspect/agent.h"
#include "bindings/inspect/wire.h"
#include "vm/hang.h"
#include "vm/moonlet_state.h"
#include "vm/poke.h"
#include "vm/running.h"
#include "vm/thread_signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* The time that an inspector has to tell its clients of the end, and then to end when it is
 * interrupted. */
#define FAREWELL (300 * ML_MILLISECOND)
#define INTERRUPTED (200 * ML_MILLISECOND)

/* Shared by the runtime and the inspector's thread, freed by the last one. */
struct ml_inspector {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* signalled when the thread has ended */
    struct ml_wire *wire;
    struct moonlet *m; /* the inspector's runtime, while it is open. Under the mutex */
    bool has_ended;    /* under the mutex */
    unsigned users;    /* under the mutex */
};

static struct ml_inspector *inspector_new(struct ml_wire *wire)
{
    struct ml_inspector *inspector = calloc(1, sizeof *inspector);
    if (inspector == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&inspector->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&inspector->mutex, NULL);
    inspector->wire = ml_wire_retain(wire);
    inspector->users = 1;
    return inspector;
}

/* The caller uses it no more. The mutex is locked. */
static void leave(struct ml_inspector *inspector)
{
    bool is_last = --inspector->users == 0;
    pthread_mutex_unlock(&inspector->mutex);
    if (!is_last)
        return;
    ml_wire_release(inspector->wire);
    pthread_cond_destroy(&inspector->changed);
    pthread_mutex_destroy(&inspector->mutex);
    free(inspector);
}

/* ---- on the thread ---- */

static void publish(struct ml_inspector *inspector, struct moonlet *m)
{
    pthread_mutex_lock(&inspector->mutex);
    inspector->m = m;
    pthread_mutex_unlock(&inspector->mutex);
}

static void serve(struct ml_inspector *inspector)
{
    static const struct moonlet_options options = {.name = "moonlet inspector",
                                                   .ignore_environment = true};
    struct moonlet *m = moonlet_create(&options);
    if (m == NULL)
        return;
    m->lua.inspect.inspected = inspector->wire;
    publish(inspector, m);
    if (moonlet_load_string(m, "require 'moonlet.inspector.server'.run()", "=inspector") == 0)
        moonlet_run(m);
    publish(inspector, NULL);
    moonlet_close(m);
}

static void *work(void *argument)
{
    struct ml_inspector *inspector = argument;
    pthread_setname_np(pthread_self(), "inspector");
    serve(inspector);
    ml_wire_leave(inspector->wire);
    pthread_mutex_lock(&inspector->mutex);
    inspector->has_ended = true;
    pthread_cond_broadcast(&inspector->changed);
    leave(inspector);
    return NULL;
}

/* ---- starting ---- */

/* Starts the thread, detached, with all signals blocked but the one that ends threads. 0 or a
 * negated errno. */
static int start_thread(struct ml_inspector *inspector)
{
    pthread_t thread;
    sigset_t mask, before;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    ml_thread_signal_mask(&mask);
    pthread_sigmask(SIG_SETMASK, &mask, &before);
    inspector->users++;
    int error = pthread_create(&thread, &detached, work, inspector);
    if (error != 0)
        inspector->users--;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return -error;
}

static void give_up(struct ml_inspector *inspector)
{
    pthread_mutex_lock(&inspector->mutex);
    leave(inspector);
}

static void end_before_exit(struct ml_lua *lua)
{
    ml_inspector_end(ml_moonlet_of(lua));
}

/* The hook's: the code that runs is to serve requests. */
static void on_event(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct ml_lua *lua = ml_lua_of(L);
    ml_hooks_unshare(lua, ML_HOOK_INSPECT);
    ml_hooks_refresh(L);
    if (lua->hub.current == NULL)
        return;
    ml_chain_refresh(lua->hub.current);
    if (ml_agent_is_ready(lua)) /* else the inspector asks again */
        ml_agent_serve(L);
}

/* Without pokes, requests are served at switches alone. */
static void open_pokes(struct moonlet *m)
{
    static const struct ml_hook_kind inspect = {.events = LUA_MASKCALL | LUA_MASKRET |
                                                          LUA_MASKLINE | LUA_MASKCOUNT,
                                                .count = 1,
                                                .on_event = on_event};
    ml_hooks_install(&m->lua, ML_HOOK_INSPECT, &inspect);
    m->has_pokes = ml_poke_open(m) == 0;
}

static int poke(struct ml_lua *lua, void *nothing)
{
    (void)nothing;
    struct moonlet *m = ml_moonlet_of(lua);
    return m->has_pokes ? ml_poke(m, ML_HOOK_INSPECT) : -ENOTSUP;
}

static int interrupt(struct ml_lua *lua, void *nothing)
{
    (void)nothing;
    moonlet_interrupt(ml_moonlet_of(lua), SIGTERM);
    return 0;
}

/* The wire is the runtime's once this has succeeded. */
static int start_on(struct moonlet *m, struct ml_wire *wire)
{
    struct ml_inspector *inspector = inspector_new(wire);
    int error = inspector != NULL ? start_thread(inspector) : -ENOMEM;
    if (error == 0) {
        m->inspector = inspector;
        open_pokes(m);
        ml_agent_open(&m->lua, wire);
        m->lua.exit.before = end_before_exit;
    } else if (inspector != NULL) {
        give_up(inspector);
    }
    return error;
}

static int start(struct ml_lua *lua)
{
    struct moonlet *m = ml_moonlet_of(lua);
    if (m->inspector != NULL)
        return 0;
    if (lua->hub.life.is_forked || (m->options.without & (MOONLET_NET | MOONLET_DEBUG)) != 0)
        return lua->hub.life.is_forked ? -ECHILD : -EPERM;
    struct ml_wire *wire = ml_wire_new(&lua->hub);
    if (wire == NULL)
        return -ENOMEM;
    int error = start_on(m, wire);
    if (error != 0)
        ml_wire_release(wire);
    return error;
}

static bool is_interrupted(struct ml_lua *lua)
{
    return ml_moonlet_of(lua)->interrupt != 0;
}

const struct ml_inspectors ml_inspectors = {.start = start,
                                            .poke = poke,
                                            .look = ml_hang_look,
                                            .interrupt = interrupt,
                                            .is_interrupted = is_interrupted};

/* ---- the end ---- */

/* Waits until the thread has ended, or for that span. The mutex is locked. */
static void await_end(struct ml_inspector *inspector, ml_time span)
{
    ml_time end = ml_clock_now() + span;
    struct timespec until = {end / ML_SECOND, end % ML_SECOND};
    int error = 0;
    while (error == 0 && !inspector->has_ended)
        error = pthread_cond_timedwait(&inspector->changed, &inspector->mutex, &until);
}

void ml_inspector_end(struct moonlet *m)
{
    struct ml_inspector *inspector = m->inspector;
    struct ml_wire *wire = m->lua.inspect.wire;
    m->inspector = NULL;
    if (inspector == NULL)
        return;
    ml_agent_close(&m->lua);
    if (m->lua.hub.life.is_forked)
        return;
    pthread_mutex_lock(&inspector->mutex);
    await_end(inspector, FAREWELL);
    if (!inspector->has_ended && inspector->m != NULL)
        moonlet_interrupt(inspector->m, SIGTERM);
    if (!inspector->has_ended)
        await_end(inspector, INTERRUPTED);
    leave(inspector);
    ml_wire_release(wire);
}
