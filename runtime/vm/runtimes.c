#include "vm/runtimes.h"

#include "bindings/core/libc_call.h"
#include "bindings/core/lua_strand.h"
#include "bindings/inspect/wire.h"
#include "hub/loop/life.h"
#include "hub/loop/run.h"
#include "hub/wait/slice.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* The open runtimes, on shelves that are never freed, so that signal handlers may read them without
 * the lock. */
enum { SHELF = 64 };
struct shelf {
    struct moonlet *_Atomic places[SHELF];
    struct shelf *_Atomic next;
};
static struct shelf first_shelf;

/* The entry of `m`; NULL: there is none. */
static struct moonlet *_Atomic *find(const struct moonlet *m)
{
    for (struct shelf *shelf = &first_shelf; shelf != NULL; shelf = shelf->next)
        for (int i = 0; i < SHELF; i++)
            if (shelf->places[i] == m)
                return &shelf->places[i];
    return NULL;
}

/* Adds a shelf behind the first. 0 or -ENOMEM. */
static int add_shelf(void)
{
    struct shelf *shelf = calloc(1, sizeof *shelf);
    if (shelf == NULL)
        return -ENOMEM;
    shelf->next = first_shelf.next;
    first_shelf.next = shelf;
    return 0;
}

void ml_runtimes_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void ml_runtimes_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static void fork_runtime(struct moonlet *m)
{
    ml_hub_forked(&m->lua.hub);
    if (m->lua.inspect.wire != NULL)
        ml_wire_forked(m->lua.inspect.wire);
}

/* No thread holds the lock while a process is forked, so it is free in both. */
static void after_fork(void)
{
    for (struct shelf *shelf = &first_shelf; shelf != NULL; shelf = shelf->next)
        for (int i = 0; i < SHELF; i++)
            if (shelf->places[i] != NULL)
                fork_runtime(shelf->places[i]);
    ml_runtimes_unlock();
}

static void watch_forks(void)
{
    pthread_atfork(ml_runtimes_lock, ml_runtimes_unlock, after_fork);
}

int ml_runtimes_add(struct moonlet *m)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    m->thread = pthread_self();
    ml_runtimes_lock();
    int error = find(NULL) == NULL ? add_shelf() : 0;
    if (error == 0)
        *find(NULL) = m;
    ml_runtimes_unlock();
    return error;
}

void ml_runtimes_remove(struct moonlet *m)
{
    ml_runtimes_lock();
    *find(m) = NULL;
    ml_runtimes_unlock();
}

bool ml_runtime_is_open(const struct moonlet *m)
{
    return m != NULL && find(m) != NULL;
}

/* Under the lock no other thread can close the runtime during the check. */
static int look_for(const struct moonlet *m)
{
    int error = -ML_ECLOSED;
    ml_runtimes_lock();
    if (ml_runtime_is_open(m))
        error = pthread_equal(m->thread, pthread_self()) ? 0 : -ML_ETHREAD;
    ml_runtimes_unlock();
    return error;
}

int ml_runtime_check(const struct moonlet *m)
{
    return ml_likely(ml_runtime_runs_here(m)) ? 0 : look_for(m);
}

int ml_runtime_check_idle(const struct moonlet *m)
{
    int error = ml_runtime_check_closable(m);
    return error == 0 && m->lua.hub.life.is_forked ? -ECHILD : error;
}

void ml_runtime_touched(struct moonlet *m)
{
    if (!m->is_running)
        ml_hub_refresh(&m->lua.hub);
}

int ml_runtime_check_closable(const struct moonlet *m)
{
    if (ml_runtime_runs_here(m))
        return m->lua.hub.current != NULL ? -ML_EINTASK : -ML_ERUNNING;
    int error = look_for(m);
    return error == 0 && m->is_running ? -ML_ERUNNING : error;
}

int ml_runtime_refuse_wait(const struct moonlet *m)
{
    int error = ml_runtime_check(m);
    return error != 0 ? error : -ML_ENOTASK;
}

int ml_runtime_end_wait(struct moonlet *m, int error)
{
    if (ml_unlikely(error == -ECANCELED))
        ml_slice_refused(&m->lua.hub);
    ml_libc_call_finish(ml_thread_of(m->lua.hub.current->strand), error);
    return error;
}

ml_time ml_runtime_deadline(const struct moonlet *m, double limit)
{
    if (!(limit >= 0))
        return ML_FOREVER;
    ml_time span = ml_time_from_seconds(limit);
    return span > 0 ? ml_time_after(ml_hub_now(&m->lua.hub), span) : ML_NEVER_WAIT;
}
