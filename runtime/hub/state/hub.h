/*
 * What the scheduler of one thread knows: who runs, who can run, who waits until when. The folders
 * above work on it: hub/switch/ from task to task, hub/loop/ polls when nobody can run, hub/wait/
 * parks, hub/on/ has what can be waited for. Knows no Lua; what a task computes is hub->body.
 */
#ifndef ML_HUB_STATE_HUB_H
#define ML_HUB_STATE_HUB_H

#include "coro/bank.h"
#include "hub/state/slots.h"
#include "hub/state/task.h"
#include "hub/state/timers.h"

#include <stdatomic.h>

struct ml_cxx;
struct ml_poller;
struct ml_libc_calls;
struct ml_offload;

struct ml_hub {
    struct ml_bank bank;
    struct ml_task *current; /* the task that runs; NULL while the hub itself does */
    struct ml_link ready;    /* hub/state/ready.h: tasks that can run, in order */
    uint32_t ready_count;
    struct ml_task *handoff; /* to be put in place by the hub, off the running stack */
    struct ml_poller *poller;
    struct ml_timers timers; /* hub/state/deadlines.h */
    struct ml_slots slots;
    struct ml_scope *free_scopes;
    struct ml_coro spare; /* the stack of a strand that ended, for the next one that begins */
    int *thread_errno;    /* this thread's, while ml_hub_run() is on */
    struct ml_cxx *cxx;   /* hub/switch/cxx.h: this thread's, once C++ is in the process */
    uint64_t last_id;
    uint64_t last_scope; /* serial of the last scope that was opened */
    uint32_t timer_generation;
    /* Tasks that are to begin on a shared stack. The reserve has room for the frames of `expected`;
     * once there are fewer than `expected_least`, some of it is given back. */
    uint32_t unborn, expected, expected_least;
    uint32_t alive;      /* tasks that have not ended */
    uint32_t foreground; /* those of them that are no daemons */
    uint32_t ended;      /* since garbage was collected by hub->collect */
    uint32_t external;   /* waits that the world or the clock can end */
    unsigned budget;     /* switches until the clock is looked at */
    unsigned spent;      /* hub/wait/slice.h: of the running task's slice */
    ml_time return_at;   /* when ml_hub_step() is to return; ML_FOREVER: never */
    int64_t batch;       /* switches until all that were ready at the last poll have run */
    ml_time polled_at;
    ml_time
        virtual_now; /* hub/loop/simulation.h: what the clock shows; 0: the real one is in force */
    uint64_t shuffle_state;     /* of the random order of the ready queue; 0: it is in order */
    struct ml_link locked;      /* mutexes that tasks hold */
    struct ml_link idlers;      /* tasks that wait for everybody else to wait */
    struct ml_link poll_sets;   /* hub/on/poll_set.h */
    struct ml_offload *offload; /* hub/on/offload.h; NULL: not needed yet */
    /* Set by what can be waited for, when it is first used. dropped: a task has ended in a wait,
     * without running again; closed: no task is alive any more. NULL: nothing to do. */
    void (*dropped)(struct ml_hub *hub, const struct ml_task *task);
    void (*closed)(struct ml_hub *hub);
    /* interpose/libc_call.h; NULL: C libraries block the thread */
    struct ml_libc_calls *libc_calls;
    atomic_bool attention; /* the hub runs before the next task: to poll, to stop */
    bool stop;             /* by ml_hub_stop() */
    bool is_forked; /* this process is a child, forked by a task: only that one runs on, and may not
                       wait */
    bool is_host_clock; /* virtual_now is the host's clock, and does not jump */
    bool spurious;      /* hostile build: the next wait is woken for nothing */

    /* Set by the owner. body: runs the task's program on its stack; when it returns, the task has
     * ended. strand_body: what any further strand runs; ends with ml_strand_exit() or
     * ml_branch_exit(), and if these return, returns. They raise nothing across the call. prefetch:
     * has the processor fetch what a task that runs soon will touch (NULL: nothing). noticed:
     * called after ml_hub_notify(), possibly several times, when a poll has ended and before a
     * strand goes on; `current`, or `handoff` if its state is running, then says who computes. */
    void (*prefetch)(const struct ml_task *task);
    void (*body)(struct ml_task *task);
    void (*strand_body)(struct ml_strand *strand);
    void (*noticed)(struct ml_hub *hub);
    /* There is no memory to go on with a task, for lack of a stack or of a copy of the frames that
     * lie on it. collect() may give some back, true: it did (it is also called when many tasks have
     * ended and nothing happens); if it does not suffice, starve() has to end the task
     * (ml_task_drop()), which is ready. Both run on the hub's own stack. NULL: it is tried again in
     * a while. */
    bool (*collect)(struct ml_hub *hub);
    void (*starve)(struct ml_task *task);
    void (*read_clock)(
        struct ml_hub *hub); /* ml_hub_run() has it set virtual_now; NULL: the system's clock */
    void *owner;
};

/* Other threads set it, and signal handlers: what they told before is seen once a poll has ended.
 */
static inline bool ml_hub_wants_attention(const struct ml_hub *hub)
{
    return atomic_load_explicit(&hub->attention, memory_order_relaxed);
}

/* What the clock shows to the tasks of a hub. */
static inline ml_time ml_hub_now(const struct ml_hub *hub)
{
    return ml_likely(hub->virtual_now == 0) ? ml_clock_now() : hub->virtual_now;
}

/* The next live task after `slot` (start with 0), or NULL: for (s = 0; (t = ml_hub_next_task(hub,
 * &s)) != NULL;) */
struct ml_task *ml_hub_next_task(const struct ml_hub *hub, uint32_t *slot);

/* The task that has, or had, this slot and this id; NULL: it has ended. */
static inline struct ml_task *ml_hub_task(const struct ml_hub *hub, uint32_t slot, uint64_t id)
{
    struct ml_task *task = slot < hub->slots.count ? ml_slots_task(&hub->slots, slot) : NULL;
    return task != NULL && task->id == id ? task : NULL;
}

#endif
