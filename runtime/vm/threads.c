#include "vm/threads.h"

#include "bindings/core/lua_runtime.h"
#include "hub/loop/run.h"
#include "vm/deadlock.h"
#include "vm/interrupt.h"
#include "vm/main_task.h"
#include "vm/moonlet_state.h"
#include "vm/poke.h"
#include "vm/thread_signal.h"
#include "vm/unwinding.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The threads of one runtime. Shared with them, freed by the last user: one of them may be in C
 * code that lasts longer than the runtime. */
struct ml_crew {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* signalled when a thread has ended */
    struct ml_link workers; /* that have not ended */
    struct ml_link tidings; /* for callbacks of the host, which only the runtime's thread calls */
    struct moonlet *m;      /* the runtime; NULL: it was closed */
    unsigned users;         /* the runtime, and each thread */
};

/* A report or a warning of a thread, on its way to a callback of the host. */
struct tiding {
    struct ml_link link;
    bool is_warning, is_continued;
    char text[];
};

struct ml_worker {
    struct ml_link link; /* in the crew. Under its mutex */
    struct ml_crew *crew;
    struct ml_thread_call *call;
    struct moonlet *m; /* while it is open. Under the crew's mutex */
    pthread_t thread;
    bool is_cancelled; /* under the crew's mutex */
    bool warns;        /* warnings are on */
    struct moonlet_options options;
    char name[]; /* of the program */
};

const char *ml_worker_name(const struct ml_worker *worker)
{
    return worker != NULL ? worker->call->name : NULL;
}

/* ---- the crew ---- */

static struct ml_crew *crew_new(struct moonlet *m)
{
    struct ml_crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&crew->mutex, NULL);
    ml_list_init(&crew->workers);
    ml_list_init(&crew->tidings);
    crew->m = m;
    crew->users = 1;
    return crew;
}

/* The caller uses it no more. The mutex is locked. */
static void crew_leave(struct ml_crew *crew)
{
    bool is_last = --crew->users == 0;
    pthread_mutex_unlock(&crew->mutex);
    if (!is_last)
        return;
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->mutex);
    free(crew);
}

/* Asks the thread to end: at its next wait, or where it computes. The mutex is locked. */
static void cancel(struct ml_worker *worker)
{
    worker->is_cancelled = true;
    if (worker->m != NULL && moonlet_interrupt(worker->m, SIGTERM))
        ml_thread_signal_send(worker->thread);
}

/* ---- callbacks of the host ---- */

static void send_tiding(struct ml_crew *crew, struct tiding *tiding)
{
    pthread_mutex_lock(&crew->mutex);
    if (crew->m != NULL) {
        ml_list_insert(&crew->tidings, &tiding->link);
        ml_hub_notify(&crew->m->lua.hub);
        tiding = NULL;
    }
    pthread_mutex_unlock(&crew->mutex);
    free(tiding);
}

/* In place of options.report. */
static void forward_report(void *context, const char *text)
{
    struct ml_worker *worker = context;
    size_t size = strlen(text) + ML_THREAD_NAME + sizeof "thread '': ";
    struct tiding *tiding = calloc(1, sizeof *tiding + size);
    if (tiding == NULL)
        return;
    snprintf(tiding->text, size, "thread '%s': %s", worker->call->name, text);
    send_tiding(worker->crew, tiding);
}

/* In place of options.warn. */
static void forward_warning(void *context, const char *text, int to_be_continued)
{
    struct ml_worker *worker = context;
    struct tiding *tiding = calloc(1, sizeof *tiding + strlen(text) + 1);
    if (tiding == NULL)
        return;
    memcpy(tiding->text, text, strlen(text));
    tiding->is_warning = true;
    tiding->is_continued = to_be_continued;
    send_tiding(worker->crew, tiding);
}

static struct tiding *take_tiding(struct ml_crew *crew)
{
    struct tiding *tiding = NULL;
    pthread_mutex_lock(&crew->mutex);
    if (!ml_list_is_empty(&crew->tidings)) {
        tiding = ml_container_of(crew->tidings.next, struct tiding, link);
        ml_list_remove(&tiding->link);
    }
    pthread_mutex_unlock(&crew->mutex);
    return tiding;
}

void ml_threads_notice(struct moonlet *m)
{
    const struct moonlet_options *options = &m->options;
    struct tiding *tiding;
    while (m->crew != NULL && (tiding = take_tiding(m->crew)) != NULL) {
        if (tiding->is_warning)
            options->warn(options->warn_context, tiding->text, tiding->is_continued);
        else
            options->report(options->report_context, tiding->text);
        free(tiding);
    }
}

/* ---- on the thread ---- */

/* The error of a call whose program has ended before its function. */
static const char *reason_of(const struct moonlet *m, int result, char text[64])
{
    if (result == -EDEADLK)
        return "deadlock in the thread: all its tasks wait, and nothing can wake one";
    if (m->lua.exit.is_asked && m->interrupt == 0 && !m->worker->is_cancelled)
        snprintf(text, 64, "the thread has ended with os.exit(%d, true)", m->lua.exit.status);
    else
        snprintf(text, 64, "the thread was cancelled");
    return text;
}

/* Hands the outcome over to the task that waits for it: last, so that the caller finds no trace of
 * the runtime. */
static void deliver(struct ml_thread_call *call)
{
    if (call->outcome != NULL &&
        ml_thread_channel_try_put(call->done, &call->outcome->message) == 0)
        call->outcome = NULL;
    ml_thread_channel_close(call->done, NULL);
}

/* Runs the call to its end, and that of the tasks that it has spawned. */
static void run(struct moonlet *m, struct ml_thread_call *call)
{
    char text[64];
    m->lua.os_threads.call = call;
    m->warnings.is_on = m->worker->warns;
    m->is_running = true;
    int result = ml_program_start(m);
    if (result == 0)
        result = ml_hub_run(&m->lua.hub, ML_UNTIL_FOREGROUND_ENDED, ML_FOREVER);
    if (result == -EDEADLK)
        ml_deadlock_report(m);
    if (result == -EDEADLK && call->outcome != NULL) {
        ml_parcel_release(call->outcome);
        call->outcome = NULL;
    }
    if (call->outcome == NULL)
        call->outcome = ml_thread_outcome_of_text(m->lua.aside, reason_of(m, result, text));
    ml_unwind_all(m);
    call->has_told = m->lua.report.was_told;
    m->is_running = false;
}

/* The other threads may see the runtime, or not any more. False: the call was cancelled before. */
static bool publish(struct ml_worker *worker, struct moonlet *m)
{
    pthread_mutex_lock(&worker->crew->mutex);
    worker->m = m;
    bool is_wanted = !worker->is_cancelled;
    pthread_mutex_unlock(&worker->crew->mutex);
    return is_wanted;
}

static void open_and_run(struct ml_worker *worker)
{
    struct moonlet *m = moonlet_create(&worker->options);
    if (m == NULL) {
        worker->call->error = -errno;
        return;
    }
    m->worker = worker;
    if (publish(worker, m))
        run(m, worker->call);
    publish(worker, NULL);
    moonlet_close(m);
}

static void *work(void *argument)
{
    enum { LONGEST_NAME = 16 }; /* with its zero byte */
    struct ml_worker *worker = argument;
    struct ml_crew *crew = worker->crew;
    char name[LONGEST_NAME];
    snprintf(name, sizeof name, "%.*s", LONGEST_NAME - 1, worker->call->name);
    pthread_setname_np(pthread_self(), name);
    open_and_run(worker);
    deliver(worker->call);
    pthread_mutex_lock(&crew->mutex);
    ml_list_remove(&worker->link);
    worker->call->worker = NULL;
    pthread_cond_broadcast(&crew->changed);
    ml_thread_call_release(worker->call);
    free(worker);
    crew_leave(crew);
    return NULL;
}

/* ---- starting ---- */

/* What the runtime inherits of the host's options. Callbacks of the host are called on its own
 * thread alone: reports and warnings go there, its clock and its allocator are not used. */
static struct ml_worker *worker_new(struct moonlet *m, struct ml_thread_call *call)
{
    size_t length = strlen(m->options.name);
    struct ml_worker *worker = calloc(1, sizeof *worker + length + 1);
    if (worker == NULL)
        return NULL;
    memcpy(worker->name, m->options.name, length);
    struct moonlet_options *options = &worker->options;
    *options = m->options;
    options->name = worker->name;
    options->allocator = NULL;
    options->clock = NULL;
    options->warn = m->options.warn != NULL ? forward_warning : NULL;
    options->report = m->options.report != NULL ? forward_report : NULL;
    options->warn_context = options->report_context = worker;
    if (call->memory_limit > 0 &&
        (options->memory_limit == 0 || call->memory_limit < options->memory_limit))
        options->memory_limit = call->memory_limit;
    worker->warns = m->warnings.is_on;
    worker->crew = m->crew;
    worker->call = call;
    return worker;
}

/* Starts the thread, with all signals blocked but the one that ends it and that of pokes. 0 or a
 * negated errno. */
static int start_thread(struct ml_worker *worker)
{
    sigset_t mask, before;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    ml_thread_signal_mask(&mask);
    ml_poke_unblock(&worker->options, &mask);
    pthread_sigmask(SIG_SETMASK, &mask, &before);
    int error = pthread_create(&worker->thread, &detached, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return -error;
}

static int start(struct ml_lua *lua, struct ml_thread_call *call)
{
    struct moonlet *m = ml_moonlet_of(lua);
    if (m->crew == NULL)
        m->crew = crew_new(m);
    struct ml_worker *worker = m->crew != NULL ? worker_new(m, call) : NULL;
    if (worker == NULL)
        return -ENOMEM;
    struct ml_crew *crew = m->crew;
    pthread_mutex_lock(&crew->mutex);
    call->owners++;
    call->worker = worker;
    crew->users++;
    ml_list_insert(&crew->workers, &worker->link);
    int error = start_thread(worker);
    if (error != 0) {
        ml_list_remove(&worker->link);
        crew->users--;
        call->worker = NULL;
        call->owners--;
        free(worker);
    }
    pthread_mutex_unlock(&crew->mutex);
    return error;
}

static void cancel_call(struct ml_lua *lua, struct ml_thread_call *call)
{
    struct ml_crew *crew = ml_moonlet_of(lua)->crew;
    if (crew == NULL || lua->hub.life.is_forked)
        return;
    pthread_mutex_lock(&crew->mutex);
    if (call->worker != NULL)
        cancel(call->worker);
    pthread_mutex_unlock(&crew->mutex);
}

static void take_reports(struct ml_lua *lua)
{
    ml_threads_notice(ml_moonlet_of(lua));
}

const struct ml_thread_runtimes ml_thread_runtimes = {
    .start = start, .cancel = cancel_call, .take_reports = take_reports};

/* ---- the end ---- */

/* Threads that go on computing are asked so often. */
#define ASK_AGAIN (100 * ML_MILLISECOND)

static void cancel_all(struct ml_crew *crew)
{
    for (struct ml_link *link = crew->workers.next; link != &crew->workers; link = link->next)
        cancel(ml_container_of(link, struct ml_worker, link));
}

/* A signal that comes between two tasks, or while a hook is being set, may have no effect. */
static void ask_again(struct ml_crew *crew)
{
    for (struct ml_link *link = crew->workers.next; link != &crew->workers; link = link->next) {
        const struct ml_worker *worker = ml_container_of(link, struct ml_worker, link);
        if (worker->m != NULL && worker->m->interrupt != 0)
            ml_thread_signal_send(worker->thread);
    }
}

/* Waits until all threads have ended, or the time is over. The mutex is locked. */
static void await_workers(struct ml_crew *crew, ml_time end)
{
    for (ml_time now = ml_clock_now(); now < end && !ml_list_is_empty(&crew->workers);
         now = ml_clock_now()) {
        ml_time next = ml_time_earlier(end, ml_time_after(now, ASK_AGAIN));
        struct timespec until = {next / ML_SECOND, next % ML_SECOND};
        if (pthread_cond_timedwait(&crew->changed, &crew->mutex, &until) != 0)
            ask_again(crew);
    }
}

void ml_threads_end(struct moonlet *m)
{
    struct ml_crew *crew = m->crew;
    if (crew == NULL || m->lua.hub.life.is_forked)
        return;
    pthread_mutex_lock(&crew->mutex);
    cancel_all(crew);
    await_workers(crew, ml_time_after(ml_clock_now(), ML_UNWIND_TIME));
    crew->m = NULL;
    pthread_mutex_unlock(&crew->mutex);
    ml_threads_notice(m);
    m->crew = NULL;
    pthread_mutex_lock(&crew->mutex);
    crew_leave(crew);
}
