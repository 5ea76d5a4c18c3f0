/*
 * Worker threads for calls that can only block: disks, name services, C functions of users. A job
 * lies on the heap and never points into a task's C stack, since its task may be cancelled, or
 * moved, while the job runs. Knows no call.
 */
#ifndef ML_HUB_ON_OFFLOAD_H
#define ML_HUB_ON_OFFLOAD_H

#include "hub/wait/wait.h"

#include <stdatomic.h>

/* Each kind of work has workers and a queue of its own, so that one kind never holds up another. */
enum ml_work {
    ML_WORK_DISK,     /* waits for a disk: ends, unless the disk is broken */
    ML_WORK_NAMES,    /* asks name services */
    ML_WORK_CLOSE,    /* closes something, and waits for another program's end */
    ML_WORK_USER,     /* functions of users */
    ML_WORK_DATABASE, /* statements of databases that are libraries */
    ML_WORKS
};

/* The most workers of a hub for each kind; further jobs queue. Workers end after some idle seconds.
 * The worker of a job that no task waits for any more does not count, up to ML_OFFLOAD_STUCK such
 * workers. */
enum { ML_OFFLOAD_WORKERS = 32, ML_OFFLOAD_STUCK = 224 };

/* The part of a job that its owner embeds in its own struct. */
struct ml_job {
    void (*run)(struct ml_job *);     /* on a worker, with all signals blocked */
    void (*release)(struct ml_job *); /* frees the job with all that it holds; from any thread */
    /* NULL; or the job changes something: once it has begun, a cancelled task calls this, on which
     * the job may undo what it did, and waits some seconds for its end all the same. */
    void (*give_up)(struct ml_job *);
    /* For ml_offload_start(): called on the hub once the job has run; may wake tasks, never wait.
     */
    void (*finished)(struct ml_job *);
    enum ml_work work;
    bool must_run;   /* run it even if its task gave up before it began, unless the hub has ended */
    int saved_errno; /* the task's at the call, which run() finds; then the one that run() left */

    /* For hub/on/offload.c. */
    struct ml_link link;
    struct ml_hub *hub;
    uint64_t id;   /* of the task that waits; 0: none does any more */
    uint32_t slot; /* the task's */
    bool is_done;
    bool is_expected;     /* the hub looks out for the end of the job, and wants no event */
    atomic_bool has_come; /* then: it has run, and the worker has let go of it */
    enum { ML_JOB_QUEUED, ML_JOB_RUNS, ML_JOB_RUNS_ASIDE, ML_JOB_HAS_RUN } stage;
};

/*
 * Has a worker run `job`, whose run and release are set, while the running task waits. With any
 * result but 0 the job is released already, or will be once it has run.
 *
 * - 0: it ran, perhaps in a task that was cancelled meanwhile (give_up); the caller owns it again,
 *   and releases it;
 * - -ECANCELED, -ETIMEDOUT: the task waits no more. The job may still run, and will if it must;
 * - -EAGAIN: no thread can be started; it never runs;
 * - -ENOMEM: there is no memory, for the workers or for the deadline: as -ETIMEDOUT;
 * - -ECHILD: the task has forked this process, in which it starts no thread; it never runs.
 */
int ml_offload(struct ml_hub *hub, const struct ml_wait_kind *kind, struct ml_job *job,
               ml_time deadline);

/*
 * Has a worker run `job`, whose run, release and finished are set, while no task waits for it.
 *
 * - 0: `finished` will be called on the hub, which then owns the job again; if the hub ends before,
 *   the job is released instead;
 * - -EAGAIN, -ENOMEM, -ECHILD: it never runs, and is released.
 */
int ml_offload_start(struct ml_hub *hub, struct ml_job *job);

/* The workers of a kind, and the jobs. */
struct ml_offload_figures {
    uint64_t jobs;    /* that were given to them so far */
    unsigned queued;  /* that no worker has taken yet */
    unsigned workers; /* threads */
    unsigned idle;    /* those of them that wait for a job */
};

/* All are 0 before the first job. */
void ml_offload_count(const struct ml_hub *hub, enum ml_work work,
                      struct ml_offload_figures *figures);

#endif
