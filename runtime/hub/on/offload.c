#include "hub/on/offload.h"

#include "hub/loop/libev.h"
#include "hub/loop/poller.h"
#include "hub/state/ready.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

/* How long a worker waits for the next job before it ends. */
enum { IDLE_SECONDS = 10 };

/* The workers of one kind. */
struct crew {
    struct ml_offload *pool;
    pthread_cond_t work; /* signalled when a job was queued or the hub ends */
    struct ml_link queue;
    unsigned workers; /* without those in a job that no task waits for */
    unsigned stuck;   /* those in such a job */
    unsigned idle;    /* workers that wait for a job */
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
};

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

/* The next job; NULL: none came for a while, there are too many workers, or the hub is gone. A
 * worker too many does not wait: the one job that it would be woken for would not be taken. The
 * mutex is locked. */
static struct ml_job *wait_for_job(struct crew *crew)
{
    struct timespec until;
    int error = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    crew->idle++;
    while (error == 0 && is_wanted(crew) && ml_list_is_empty(&crew->queue))
        error = pthread_cond_timedwait(&crew->work, &crew->pool->mutex, &until);
    crew->idle--;
    return is_wanted(crew) ? take(&crew->queue) : NULL;
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
        ml_list_insert(&crew->queue, &job->link);
        pthread_cond_signal(&crew->work);
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
    if (is_dropped)
        ml_list_remove(&job->link);
    else if (job->stage == ML_JOB_RUNS)
        step_aside(&pool->crews[job->work], job);
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

/* The task with that slot and id waits for the job; id 0: none does. */
static int start(struct ml_hub *hub, struct ml_job *job, uint32_t slot, uint64_t id)
{
    job->saved_errno = errno;
    if (hub->offload.workers == NULL)
        hub->offload.workers = open_pool(hub);
    hub->offload.closed = close_pool;
    job->hub = hub;
    job->slot = slot;
    job->id = id;
    job->is_done = false;
    int error = hub->offload.workers != NULL ? enqueue(hub->offload.workers, job) : -ENOMEM;
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
    while (error == 0 && !job->is_done)
        error = ml_wait(hub, kind, 0, NULL, deadline);
    if (error != 0)
        abandon(hub->offload.workers, job);
    return error;
}
