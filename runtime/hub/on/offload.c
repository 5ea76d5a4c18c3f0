#include "hub/on/offload.h"

#include "base/clock.h"
#include "hub/loop/libev.h"
#include "hub/loop/poller.h"
#include "hub/state/ready.h"
#include "hub/state/scope.h"
#include "hub/wait/slice.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* How long a worker waits for the next job before it ends. */
enum { IDLE_SECONDS = 10 };

/* How long a worker looks out for the next job before it sleeps: to wake a thread costs more than
 * most calls of a disk (libuv issue 5232: 67,000 calls of stat a second with workers that sleep,
 * 593,000 with some that look out for 50 us). */
#define LOOKOUT (ML_MILLISECOND / 20)

/* How long the hub looks out for the end of a short job, if no other task could run meanwhile: to
 * wait for the event costs more than most statements of a database. Where other programs use the
 * cores the job never comes in time, and the lookout is lost (measured, a statement of SQLite's on
 * two cores under load: 34 us with it, 13.5 without). */
#define SHORT_JOB (ML_MILLISECOND / 50)

/* The most jobs that are not looked out for after some that came late; each one doubles them. */
enum { MOST_DOUBT = 63 };

/* What such a job counts in its task's slice. */
enum { SHORT_JOB_COST = 2 * ML_SLICE_CALL };

/* How long a cancelled task waits for a job that has begun to change something. */
#define SEEING_OUT (5 * ML_SECOND)

/* The workers of one kind. */
struct crew {
    struct ml_offload *pool;
    pthread_cond_t work; /* signalled when a job was queued or the hub ends */
    struct ml_link queue;
    unsigned workers; /* without those in a job that no task waits for */
    unsigned stuck;   /* those in such a job */
    unsigned idle;    /* workers that wait for a job */
    uint64_t put;     /* jobs that were put there so far */
    atomic_uint jobs; /* in the queue; a worker on the lookout reads it without the mutex */
    bool is_watched;  /* a worker is on the lookout */
};

/*
 * Shared by the hub and its workers, freed by the last of them: a worker may be in a call that
 * lasts longer than the hub.
 */
struct ml_offload {
    pthread_mutex_t mutex;
    struct crew crews[ML_WORKS];
    struct ml_link done;  /* jobs that ran and were not collected yet */
    struct ev_loop *loop; /* NULL: the hub is gone */
    ev_async finished;
    unsigned users; /* the hub, and each worker */
    unsigned doubt; /* jobs that are not looked out for after the last that came late; the hub's */
    unsigned doubt_left;
    bool has_cores; /* more than one: a worker can look out while the hub goes on */
};

static void put(struct crew *crew, struct ml_job *job)
{
    ml_list_insert(&crew->queue, &job->link);
    crew->put++;
    atomic_fetch_add_explicit(&crew->jobs, 1, memory_order_release);
}

static struct ml_job *take(struct ml_link *queue)
{
    struct ml_job *job = NULL;
    if (!ml_list_is_empty(queue)) {
        job = ml_container_of(queue->next, struct ml_job, link);
        ml_list_remove(&job->link);
    }
    return job;
}

/* Wakes tasks whose job has run; releases a job that no task waits for any more. No callback may
 * start another job: the mutex is locked. */
static void on_finished(struct ev_loop *loop, ev_async *finished, int events)
{
    (void)loop, (void)events;
    struct ml_offload *pool = ml_container_of(finished, struct ml_offload, finished);
    struct ml_job *job;
    pthread_mutex_lock(&pool->mutex);
    while ((job = take(&pool->done)) != NULL) {
        struct ml_task *task = ml_hub_task(job->hub, job->slot, job->id);
        job->is_done = true;
        if (job->finished != NULL)
            job->finished(job);
        else if (task != NULL)
            ml_task_wake(task, ML_WAKE_EVENT);
        else
            job->release(job);
    }
    pthread_mutex_unlock(&pool->mutex);
}

static void open_crew(struct crew *crew, struct ml_offload *pool)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    ml_list_init(&crew->queue);
    crew->pool = pool;
}

static struct ml_offload *open_pool(struct ml_hub *hub)
{
    struct ml_offload *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    for (int i = 0; i < ML_WORKS; i++)
        open_crew(&pool->crews[i], pool);
    ml_list_init(&pool->done);
    pool->users = 1;
    pool->has_cores = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    pool->loop = ml_poller_loop(hub->poller);
    ev_async_init(&pool->finished, on_finished);
    ev_async_start(pool->loop, &pool->finished);
    return pool;
}

/* The caller uses the pool no more. The mutex is locked. */
static void leave(struct ml_offload *pool)
{
    bool is_last = --pool->users == 0;
    pthread_mutex_unlock(&pool->mutex);
    if (!is_last)
        return;
    for (int i = 0; i < ML_WORKS; i++)
        pthread_cond_destroy(&pool->crews[i].work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

/* A worker that comes back from a job that nobody waited for may be one too many. The mutex is
 * locked. */
static bool is_wanted(const struct crew *crew)
{
    return crew->pool->loop != NULL && crew->workers <= ML_OFFLOAD_WORKERS;
}

static struct ml_job *take_next(struct crew *crew)
{
    struct ml_job *job = take(&crew->queue);
    if (job != NULL)
        atomic_fetch_sub_explicit(&crew->jobs, 1, memory_order_release);
    return job;
}

/* Looks out for the next job of a disk or a database, for a while, so that no thread has to be
 * woken for it. One worker does at a time. The mutex is locked. */
static void look_out(struct crew *crew)
{
    const struct crew *crews = crew->pool->crews;
    bool is_worth_it =
        crew->pool->has_cores && (crew == &crews[ML_WORK_DISK] || crew == &crews[ML_WORK_DATABASE]);
    if (!is_worth_it || crew->is_watched || !is_wanted(crew) || !ml_list_is_empty(&crew->queue))
        return;
    crew->is_watched = true;
    pthread_mutex_unlock(&crew->pool->mutex);
    ml_time until = ml_time_after(ml_clock_now(), LOOKOUT);
    while (atomic_load_explicit(&crew->jobs, memory_order_acquire) == 0 && ml_clock_now() < until)
        sched_yield();
    pthread_mutex_lock(&crew->pool->mutex);
    crew->is_watched = false;
    if (!is_wanted(crew))
        pthread_cond_signal(&crew->work);
}

/* The next job; NULL: none came for a while, there are too many workers, or the hub is gone. A
 * worker too many does not wait: the one job that it would be woken for would not be taken. The
 * mutex is locked. */
static struct ml_job *wait_for_job(struct crew *crew)
{
    struct timespec until;
    int error = 0;
    crew->idle++;
    look_out(crew);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    while (error == 0 && is_wanted(crew) && ml_list_is_empty(&crew->queue))
        error = pthread_cond_timedwait(&crew->work, &crew->pool->mutex, &until);
    crew->idle--;
    return is_wanted(crew) ? take_next(crew) : NULL;
}

/* The mutex is locked. */
static void run_job(struct crew *crew, struct ml_job *job)
{
    struct ml_offload *pool = crew->pool;
    job->stage = ML_JOB_RUNS;
    pthread_mutex_unlock(&pool->mutex);
    errno = job->saved_errno;
    job->run(job);
    job->saved_errno = errno;
    pthread_mutex_lock(&pool->mutex);
    if (job->stage == ML_JOB_RUNS_ASIDE)
        crew->stuck--, crew->workers++;
    job->stage = ML_JOB_HAS_RUN;
    if (pool->loop == NULL) {
        job->release(job);
        return;
    }
    if (job->is_expected) {
        atomic_store_explicit(&job->has_come, true, memory_order_release);
        return;
    }
    ml_list_insert(&pool->done, &job->link);
    ev_async_send(pool->loop, &pool->finished);
}

static void *work(void *argument)
{
    struct crew *crew = argument;
    struct ml_offload *pool = crew->pool;
    struct ml_job *job;
    pthread_mutex_lock(&pool->mutex);
    while ((job = wait_for_job(crew)) != NULL)
        run_job(crew, job);
    crew->workers--;
    leave(pool);
    return NULL;
}

/* Starts a worker, with all signals blocked, so that other threads get them. The mutex is locked. 0
 * or a negated errno. */
static int start_worker(struct crew *crew)
{
    sigset_t all, before;
    pthread_attr_t detached;
    pthread_t thread;
    sigfillset(&all);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &detached, work, crew);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    if (error == 0)
        crew->workers++, crew->pool->users++;
    return -error;
}

/* Starts one more worker if there are too few. The mutex is locked. 0 or a negated errno. */
static int reinforce(struct crew *crew)
{
    bool is_short = crew->idle == 0 || !ml_list_is_empty(&crew->queue);
    return is_short && crew->workers < ML_OFFLOAD_WORKERS ? start_worker(crew) : 0;
}

/* 0: a worker will run the job. */
static int enqueue(struct ml_offload *pool, struct ml_job *job)
{
    struct crew *crew = &pool->crews[job->work];
    pthread_mutex_lock(&pool->mutex);
    int error = reinforce(crew);
    if (crew->workers > 0) {
        job->stage = ML_JOB_QUEUED;
        job->is_expected &= crew->is_watched && ml_list_is_empty(&crew->queue);
        if (!crew->is_watched || !ml_list_is_empty(&crew->queue))
            pthread_cond_signal(&crew->work);
        put(crew, job);
        error = 0;
    }
    pthread_mutex_unlock(&pool->mutex);
    return error;
}

/* The worker of a job that no task waits for leaves its place to another. The mutex is locked. */
static void step_aside(struct crew *crew, struct ml_job *job)
{
    if (crew->stuck == ML_OFFLOAD_STUCK)
        return;
    job->stage = ML_JOB_RUNS_ASIDE;
    crew->workers--, crew->stuck++;
    if (!ml_list_is_empty(&crew->queue))
        reinforce(crew);
}

/* No task waits for the job any more. If it has not begun it never will, unless it must. */
static void abandon(struct ml_offload *pool, struct ml_job *job)
{
    pthread_mutex_lock(&pool->mutex);
    bool is_dropped = job->stage == ML_JOB_QUEUED && !job->must_run;
    if (is_dropped) {
        ml_list_remove(&job->link);
        atomic_fetch_sub_explicit(&pool->crews[job->work].jobs, 1, memory_order_release);
    } else if (job->stage == ML_JOB_RUNS) {
        step_aside(&pool->crews[job->work], job);
    }
    is_dropped |= job->is_done;
    job->id = 0;
    pthread_mutex_unlock(&pool->mutex);
    if (is_dropped)
        job->release(job);
}

/* The mutex is locked. */
static void release_all(struct ml_link *queue)
{
    struct ml_job *job;
    while ((job = take(queue)) != NULL)
        job->release(job);
}

/* hub->offload.closed: ends the workers, except one that is in a call. */
static void close_pool(struct ml_hub *hub)
{
    struct ml_offload *pool = hub->offload.workers;
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    ev_async_stop(pool->loop, &pool->finished);
    pool->loop = NULL;
    release_all(&pool->done);
    for (int i = 0; i < ML_WORKS; i++) {
        release_all(&pool->crews[i].queue);
        pthread_cond_broadcast(&pool->crews[i].work);
    }
    hub->offload.workers = NULL;
    leave(pool);
}

static bool has_begun(struct ml_job *job)
{
    struct ml_offload *pool = job->hub->offload.workers;
    pthread_mutex_lock(&pool->mutex);
    bool has = job->stage != ML_JOB_QUEUED;
    pthread_mutex_unlock(&pool->mutex);
    return has;
}

static int await(struct ml_hub *hub, const struct ml_wait_kind *kind, struct ml_job *job,
                 ml_time deadline)
{
    int error = 0;
    while (error == 0 && !job->is_done)
        error = ml_wait(hub, kind, 0, NULL, deadline);
    return job->is_done ? 0 : error;
}

/* The task is cancelled, and its job has begun: tells the job, and waits for its end. 0; or
 * `error`: the worker does not come back. */
static int see_out(struct ml_hub *hub, const struct ml_wait_kind *kind, struct ml_job *job,
                   int error)
{
    job->give_up(job);
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
    if (shield == NULL)
        return error;
    int result = await(hub, kind, job, ml_time_after(ml_hub_now(hub), SEEING_OUT));
    ml_scope_close(hub, shield);
    return result == 0 ? 0 : error;
}

/* Hands the job to the workers: 0 or an error. A forked process has none of them, and their mutex
 * may be locked for good. */
static int hand_over(struct ml_hub *hub, struct ml_job *job)
{
    if (hub->life.is_forked)
        return -ECHILD;
    if (hub->offload.workers == NULL)
        hub->offload.workers = open_pool(hub);
    hub->offload.closed = close_pool;
    return hub->offload.workers != NULL ? enqueue(hub->offload.workers, job) : -ENOMEM;
}

static bool is_in_doubt(struct ml_offload *pool)
{
    if (pool == NULL || pool->doubt_left == 0)
        return false;
    pool->doubt_left--;
    return true;
}

/* Whether the hub may look out for the end of the job: no task is kept from running. */
static bool is_worth_expecting(struct ml_hub *hub, const struct ml_job *job)
{
    bool is_free = job->work == ML_WORK_DATABASE && hub->ready.count == 0 && !ml_slice_is_over(hub);
    return is_free && ml_cancel_point(hub) == 0 && !is_in_doubt(hub->offload.workers);
}

static void note_expected(struct ml_offload *pool, bool has_come)
{
    unsigned doubled = 2 * pool->doubt + 1;
    pool->doubt = has_come ? 0 : doubled < MOST_DOUBT ? doubled : MOST_DOUBT;
    pool->doubt_left = pool->doubt;
}

/* Looks out for the end of an expected job; if it does not come soon, it is waited for. */
static void expect(struct ml_hub *hub, struct ml_job *job)
{
    struct ml_offload *pool = hub->offload.workers;
    ml_time until = ml_time_after(ml_clock_now(), SHORT_JOB);
    ml_slice_spend(hub, SHORT_JOB_COST);
    while (!atomic_load_explicit(&job->has_come, memory_order_acquire) && ml_clock_now() < until)
        ;
    if (!atomic_load_explicit(&job->has_come, memory_order_acquire)) {
        pthread_mutex_lock(&pool->mutex);
        job->is_expected = false;
        pthread_mutex_unlock(&pool->mutex);
    }
    job->is_done = atomic_load_explicit(&job->has_come, memory_order_acquire);
    note_expected(pool, job->is_done);
}

/* The task with that slot and id waits for the job; id 0: none does. */
static int start(struct ml_hub *hub, struct ml_job *job, uint32_t slot, uint64_t id)
{
    job->saved_errno = errno;
    job->hub = hub;
    job->slot = slot;
    job->id = id;
    job->is_done = false;
    job->is_expected = id != 0 && is_worth_expecting(hub, job);
    atomic_store_explicit(&job->has_come, false, memory_order_relaxed);
    int error = hand_over(hub, job);
    if (error != 0)
        job->release(job);
    return error;
}

int ml_offload_start(struct ml_hub *hub, struct ml_job *job)
{
    return start(hub, job, 0, 0);
}

int ml_offload(struct ml_hub *hub, const struct ml_wait_kind *kind, struct ml_job *job,
               ml_time deadline)
{
    int error = start(hub, job, hub->current->waiter.slot, hub->current->id);
    if (error != 0)
        return error;
    if (job->is_expected)
        expect(hub, job);
    hub->offload.awaited++;
    error = await(hub, kind, job, deadline);
    if (error != 0 && job->give_up != NULL && has_begun(job))
        error = see_out(hub, kind, job, error);
    hub->offload.awaited--;
    if (error != 0)
        abandon(hub->offload.workers, job);
    return error;
}

void ml_offload_count(const struct ml_hub *hub, enum ml_work work,
                      struct ml_offload_figures *figures)
{
    struct ml_offload *pool = hub->offload.workers;
    *figures = (struct ml_offload_figures){0};
    if (pool == NULL)
        return;
    const struct crew *crew = &pool->crews[work];
    pthread_mutex_lock(&pool->mutex);
    figures->jobs = crew->put;
    figures->queued = atomic_load_explicit(&crew->jobs, memory_order_relaxed);
    figures->workers = crew->workers + crew->stuck;
    figures->idle = crew->idle;
    pthread_mutex_unlock(&pool->mutex);
}
