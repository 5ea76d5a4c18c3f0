/*
 * Worker threads for calls that can only block: disks, name services, C functions of users. A job
 * lies on the heap and never points into a task's C stack, for its task may be cancelled, or moved,
 * while it runs. Knows no call.
 */
#ifndef ML_HUB_ON_OFFLOAD_H
#define ML_HUB_ON_OFFLOAD_H

#include "hub/wait/wait.h"

/* Work of one kind never keeps another from a place: each has workers and a queue of its own. */
enum ml_work {
    ML_WORK_DISK,  /* that waits for a disk: ends, but for a broken one */
    ML_WORK_NAMES, /* that asks name services */
    ML_WORK_CLOSE, /* that ends something and waits for somebody's end */
    ML_WORK_USER,  /* functions of users */
    ML_WORKS
};

/* Workers of a hub for each kind at most; further jobs queue. They end after some idle seconds. A
 * job that nobody waits for any more counts among them no longer, up to so many. */
enum { ML_OFFLOAD_WORKERS = 32, ML_OFFLOAD_STUCK = 224 };

/* What the owner embeds in its own struct. */
struct ml_job {
    void (*run)(struct ml_job *);     /* on a worker, with all signals blocked */
    void (*release)(struct ml_job *); /* frees the job with all that it holds; from any thread */
    enum ml_work work;
    bool must_run;   /* also if its task gave up before it began, until the hub ends */
    int saved_errno; /* the task's when it asked, which run() finds; then what run() left */

    /* For hub/on/offload.c. */
    struct ml_link link;
    struct ml_hub *hub;
    uint64_t id;   /* of the task that waits; 0: nobody any more */
    uint32_t slot; /* the task's */
    bool is_done;
    enum { ML_JOB_QUEUED, ML_JOB_RUNS, ML_JOB_RUNS_ASIDE, ML_JOB_HAS_RUN } stage;
};

/*
 * Has a worker run `job`, whose run and release are set, while the running task waits.
 * 0: it ran, and is the caller's again, who releases it. Otherwise it is released already, or will
 * be once it has run: -ECANCELED, -ETIMEDOUT: nobody waits for it any more, it may still run, and
 * does if it must; -EAGAIN: no thread can be started and it never runs; -ENOMEM the same.
 */
int ml_offload(struct ml_hub *hub, const struct ml_wait_kind *kind, struct ml_job *job,
               ml_time deadline);

#endif
