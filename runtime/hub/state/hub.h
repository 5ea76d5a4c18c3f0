/*
 * The scheduler of one thread: the ready queue, the switch from task to task, and the loop that
 * polls when nobody can run. Knows no Lua; what a task computes is hub->body.
 */
#ifndef ML_HUB_STATE_HUB_H
#define ML_HUB_STATE_HUB_H

#include "coro/bank.h"
#include "hub/loop/poller.h"
#include "hub/state/slots.h"
#include "hub/state/task.h"
#include "hub/state/timers.h"

#include <stdatomic.h>

struct ml_cxx;
struct ml_foreign;
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
    /* Tasks that are to begin on a shared stack. The reserve has room for the frames of `expected`; once there are
     * fewer than `expected_least`, some of it is given back. */
    uint32_t unborn, expected, expected_least;
    uint32_t alive;      /* tasks that have not ended */
    uint32_t foreground; /* those of them that are no daemons */
    uint32_t external;   /* waits that the world or the clock can end */
    unsigned budget;     /* switches until the clock is looked at */
    unsigned spent;      /* hub/wait/slice.h: of the running task's slice */
    ml_time return_at;   /* when ml_hub_step() is to return; ML_FOREVER: never */
    int64_t batch;       /* switches until all that were ready at the last poll have run */
    ml_time polled_at;
    ml_time virtual_now; /* hub/state/simulation.h: what the clock shows; 0: the real one is in force */
    uint64_t shuffle_state;     /* of the random order of the ready queue; 0: it is in order */
    struct ml_link locked;      /* mutexes that tasks hold */
    struct ml_link idlers;      /* tasks that wait for everybody else to wait */
    struct ml_link poll_sets;   /* hub/on/poll_set.h */
    struct ml_offload *offload; /* hub/on/offload.h; NULL: not needed yet */
    struct ml_foreign *foreign; /* interpose/libc_call.h; NULL: C libraries block the thread */
    atomic_bool attention;      /* the hub runs before the next task: to poll, to stop */
    bool stop;                  /* by ml_hub_stop() */
    bool
        is_forked; /* this process is a child, forked by a task: only that one runs on, and may not wait */
    bool is_host_clock; /* virtual_now is the host's clock, and does not jump */
    bool spurious;      /* hostile build: the next wait is woken for nothing */

    /* Set by the owner. body: runs the task's program on its stack; when it returns, the task has
     * ended. strand_body: what any further strand runs; ends with ml_strand_exit() or
     * ml_branch_exit(), and if these return, returns. They raise nothing across the call. prefetch:
     * has the processor fetch what a task that runs soon will touch (NULL: nothing). noticed: called
     * after ml_hub_notify(), possibly several times, when a poll has ended and before a strand goes on;
     * `current`, or `handoff` if its state is running, then says who computes. */
    void (*prefetch)(const struct ml_task *task);
    void (*body)(struct ml_task *task);
    void (*strand_body)(struct ml_strand *strand);
    void (*noticed)(struct ml_hub *hub);
    /* There is no memory to go on with a task, for lack of a stack or of a copy of the frames that lie on it. collect()
     * may give some back, true: it did; if it does not suffice, starve() has to end the task (ml_task_drop()), which is
     * ready. Both run on the hub's own stack. NULL: it is tried again in a while. */
    bool (*collect)(struct ml_hub *hub);
    void (*starve)(struct ml_task *task);
    void (*read_clock)(
        struct ml_hub *hub); /* ml_hub_run() has it set virtual_now; NULL: the system's clock */
    void *owner;
};

/* Other threads set it, and signal handlers: what they told before is seen once a poll has ended. */
static inline bool ml_hub_wants_attention(const struct ml_hub *hub)
{
    return atomic_load_explicit(&hub->attention, memory_order_relaxed);
}

/* What the clock shows to the tasks of a hub. */
static inline ml_time ml_hub_now(const struct ml_hub *hub)
{
    return ml_likely(hub->virtual_now == 0) ? ml_clock_now() : hub->virtual_now;
}

/* pool, stacks, stack_size: see ml_bank_init(). 0 or a negated errno. */
int ml_hub_init(struct ml_hub *hub, struct ml_pool *pool, unsigned stacks, size_t stack_size);

/* Frees all; no task is alive any more. */
void ml_hub_release(struct ml_hub *hub);

struct ml_spawn_options {
    bool is_daemon;
    bool private_stack;
};

/*
 * Makes `task` ready to run hub->body at the end of the queue, on the strand `body`, which is
 * unbound. The memory is the caller's, zeroed, and stays until the task has ended. 0 or -ENOMEM; then
 * it never was a task.
 */
int ml_task_spawn(struct ml_hub *hub, struct ml_task *task, struct ml_strand *body,
                  struct ml_spawn_options options);

/* This process is a child, forked while `hub` was there: nothing may be asked of its loop, which is the parent's, too. */
void ml_hub_forked(struct ml_hub *hub);

/* What ml_hub_run() runs for. */
enum ml_hub_goal { ML_UNTIL_FOREGROUND_ENDED, ML_UNTIL_ALL_ENDED };

/*
 * Runs tasks until the goal is reached. 0; -ETIMEDOUT: `deadline` has passed; -EDEADLK: tasks are
 * left, all wait, and nothing can ever wake one; -EINTR: ml_hub_stop() was called; -ECHILD: this is a process
 * forked by a task, which has ended.
 */
int ml_hub_run(struct ml_hub *hub, enum ml_hub_goal goal, ml_time deadline);

/*
 * Polls once, waiting for `max_wait` at most if nobody can run, and then runs those that can until all wait or
 * `max_run` is over, which is looked at between two tasks. (ML_FOREVER: no limit.) 1: tasks that are no daemons are left;
 * 0: none; -EINTR: ml_hub_stop() was called; -ECHILD as above.
 */
int ml_hub_step(struct ml_hub *hub, ml_time max_wait, ml_time max_run);

/*
 * A descriptor that is readable when ml_hub_step() has something to do: a descriptor that a task waits for is ready, a
 * deadline has passed, a task can run, somebody called ml_hub_notify(). The hub's; kept up to date by
 * ml_hub_step() and ml_hub_refresh() from now on. -1 with errno set.
 */
int ml_hub_descriptor(struct ml_hub *hub);

/* After something was done to tasks outside of ml_hub_run() and ml_hub_step(): brings the descriptor up to date. */
void ml_hub_refresh(struct ml_hub *hub);

/* Makes ml_hub_run() and ml_hub_step() return before the next task runs. */
static inline void ml_hub_stop(struct ml_hub *hub)
{
    hub->stop = true;
    hub->attention = true;
}

/* Lets every task that is ready run before the caller goes on. 0 or -ECANCELED. */
int ml_yield(struct ml_hub *hub);

/* The same, cancelled or not. */
void ml_pass(struct ml_hub *hub);

/* Leaves the running task for good without ending it: its frames are abandoned, and it goes on as a
 * call of hub->body on an empty stack, next in the queue. Its strands stay linked by `resumer`, from the one that ran
 * down to the body: the owner, who may want to know them, unlinks them. */
_Noreturn void ml_task_restart(struct ml_hub *hub);

/* Ends a task that does not run without running it again: its frames are dropped. For the very end, and for want of
 * memory (hub->starve). */
void ml_task_drop(struct ml_hub *hub, struct ml_task *task);

/* Wakes a task that waits; harmless on any other. Never switches. */
void ml_task_wake(struct ml_task *task, enum ml_wake reason);

/* Calls back what is ready without waiting, and wakes those whose deadline has passed. For hub/loop/simulation.c;
 * runs on the hub's own stack. */
void ml_hub_poll(struct ml_hub *hub);

/* For hub/switch/strand.c and hub/switch/branch.c. Sees to it that a strand of the running task can be switched to from
 * the running stack: 0; -EAGAIN: only from the hub's own stack; -ENOMEM. */
int ml_hub_prepare_strand(struct ml_hub *hub, struct ml_strand *strand);

/* The running task goes on with `strand`, in place or to be put there by the hub; returns when the
 * running strand is switched to again. */
void ml_hub_go_on(struct ml_hub *hub, struct ml_strand *strand, bool is_in_place);

/* The running strand has ended: its task goes on with `next`. Returns, if at all, in another strand that
 * begins, to which the stack was lent. */
void ml_hub_end_strand(struct ml_hub *hub, struct ml_strand *next);

/* Parks the running task until ml_task_wake(). Only hub/wait/wait.c calls it. */
void ml_hub_park(struct ml_hub *hub);

/* Makes the hub run before the next task and call `noticed`, from any thread or signal handler. */
void ml_hub_notify(struct ml_hub *hub);

/* The next live task after `slot` (start with 0), or NULL: for (s = 0; (t = ml_hub_next_task(hub,
 * &s)) != NULL;) */
struct ml_task *ml_hub_next_task(const struct ml_hub *hub, uint32_t *slot);

/* The task that has, or had, this slot and this id; NULL: it has ended. */
static inline struct ml_task *ml_hub_task(const struct ml_hub *hub, uint32_t slot, uint64_t id)
{
    struct ml_task *task = slot < hub->slots.count ? ml_slots_task(&hub->slots, slot) : NULL;
    return task != NULL && task->id == id ? task : NULL;
}

/* From now on the exception state of the C++ runtimes in the process is kept per task. To be called after anything
 * that may have loaded one; library: the file of a library that may have brought its own, or NULL. */
void ml_hub_find_cxx(struct ml_hub *hub, const char *library);

#endif
