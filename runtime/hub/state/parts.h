/*
 * The parts of a hub, one for each file that writes to it: hub->NAME belongs to the file that the
 * comment on its struct names. Other files read it or call that file's functions. The structs stand
 * here because the hub contains them and those files' headers need the hub.
 */
#ifndef ML_HUB_STATE_PARTS_H
#define ML_HUB_STATE_PARTS_H

#include "base/clock.h"
#include "base/list.h"
#include "coro/coro.h"
#include "hub/state/timers.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ml_cxx;
struct ml_hub;
struct ml_mailbox;
struct ml_observer;
struct ml_offload;
struct ml_scope;
struct ml_strand;
struct ml_task;
struct ml_trace;

/* hub/state/ready.h: tasks that can run. */
struct ml_hub_ready {
    struct ml_link queue; /* the tasks, in order */
    struct ml_link *rest; /* the first of those at the end that were preempted; &queue: none was */
    uint32_t count;
    uint32_t passed_over;   /* polls since the first of the rest could have run */
    struct ml_link *mark;   /* during a poll after a preemption: what `rest` was; NULL otherwise */
    struct ml_link *unborn; /* the task that had not begun before which others came last, ... */
    uint32_t let_first;     /* ... and how often */
    bool gave_way;          /* a task was preempted since the last poll */
    uint64_t shuffle_state; /* for the random order of the queue; 0: it is in order */
};

/* hub/state/deadlines.c: when waits end at the latest. */
struct ml_hub_deadlines {
    struct ml_timers timers;
    uint32_t last_generation;
};

/* hub/state/scope.c: closed scopes, for reuse, and the last number. */
struct ml_hub_scopes {
    struct ml_scope *free;
    uint64_t last_serial; /* of the last scope that was opened */
};

/* hub/switch/switch.c: the number of tasks. */
struct ml_hub_tasks {
    uint64_t last_id;
    uint32_t alive;      /* tasks that have not ended */
    uint32_t foreground; /* those of them that are no daemons */
    uint32_t ended;      /* ended since hooks.collect last collected garbage */
    /* Tasks that have not begun and will on a shared stack. The reserve has room for the frames of
     * `expected`; when there are fewer than `expected_least`, some of it is given back. */
    uint32_t unborn, expected, expected_least;
};

/* hub/switch/switch.c: the hand-over from one task to the next. */
struct ml_hub_switcher {
    struct ml_task *handoff; /* the hub is to put it in place, off the running stack */
    struct ml_coro spare;    /* the stack of a strand that ended, for the next one that begins */
    struct ml_cxx *cxx;      /* hub/switch/cxx.h: this thread's, once C++ is in the process */
};

/* hub/switch/pace.h: when to look at the clock, and to poll. */
struct ml_hub_pace {
    unsigned budget;   /* switches until the clock is looked at */
    int64_t batch;     /* switches until all that were ready at the last poll have run */
    ml_time polled_at; /* the last poll, by the real clock */
    ml_time return_at; /* when ml_hub_step() is to return; ML_FOREVER: never */
};

/* hub/switch/switch.c: a thread that watches how long tasks run. */
struct ml_hub_watch {
    atomic_bool is_asleep; /* it wants hooks.roused when the hub goes on with a task; that thread
                              sets it */
};

/* hub/wait/slice.h: the running task's slice. */
struct ml_hub_slice {
    unsigned spent; /* see ML_SLICE */
};

/* hub/wait/wait.c: waits under way. */
struct ml_hub_waits {
    uint32_t external; /* waits that an event from outside or the clock can end */
    bool spurious;     /* hostile build: the next wait is woken for nothing */
};

/* hub/loop/run.c: the call that runs the hub. */
struct ml_hub_run {
    int *thread_errno; /* this thread's, while the hub runs */
    bool stop;         /* by ml_hub_stop() */
};

/* hub/loop/simulation.c: the clock that tasks see. */
struct ml_hub_clock {
    ml_time virtual_now;                 /* what it shows; 0: the real one is in force */
    bool is_host;                        /* virtual_now is the host's clock, and does not jump */
    ml_time (*read)(struct ml_hub *hub); /* the host's; NULL: there is none */
};

/* hub/loop/life.c: whether this process may use the hub. */
struct ml_hub_life {
    bool is_forked; /* this process is a child, forked by a task: only that task goes on, and it may
                       not wait */
};

/* hub/on/poll_set.c: all sets. */
struct ml_hub_poll_sets {
    struct ml_link all;
    /* Called for a task that was dropped in a wait. NULL: there was no set yet. */
    void (*dropped)(struct ml_hub *hub, const struct ml_task *task);
};

/* hub/on/offload.c: worker threads. */
struct ml_hub_offload {
    struct ml_offload *workers; /* NULL: not needed yet */
    unsigned awaited;           /* jobs that tasks wait for */
    /* Called when no task is alive any more. NULL: there were no workers yet. */
    void (*closed)(struct ml_hub *hub);
};

/* hub/on/mailbox.c: letters from other threads. */
struct ml_hub_mail {
    struct ml_mailbox *box; /* NULL: not needed yet */
    /* Called after a poll in which ml_hub_notify() was noticed, and when no task is alive any more.
     * NULL: there was no mailbox yet. */
    void (*deliver)(struct ml_hub *hub);
    void (*closed)(struct ml_hub *hub);
};

/* hub/on/sync_primitives.c: mutexes. */
struct ml_hub_sync {
    struct ml_link locked; /* mutexes that tasks hold */
};

/* hub/on/idle.c: tasks that wait until all others wait. */
struct ml_hub_idle {
    struct ml_link tasks; /* the tasks */
};

/* Functions of the hub's owner. None raises. */
struct ml_hub_hooks {
    /* Runs the task's program on its stack. When it returns, the task has ended. */
    void (*body)(struct ml_task *task);
    /* Runs any further strand. Ends with ml_strand_exit() or ml_branch_exit(), and returns if these
     * return. */
    void (*strand_body)(struct ml_strand *strand);
    /* Has the processor prefetch what a task that runs soon will touch. NULL: nothing. */
    void (*prefetch)(const struct ml_task *task);
    /* Called after ml_hub_notify(), possibly several times: when a poll has ended, and before a
     * strand goes on. The task that computes is then `current`, or `handoff` if its state is
     * running. */
    void (*noticed)(struct ml_hub *hub);
    /* Called when the hub goes on with a task while watch.is_asleep. */
    void (*roused)(struct ml_hub *hub);
    /* Called when a scope with `is_followed` has been left: it is still filled in. May be NULL. */
    void (*scope_left)(struct ml_hub *hub, const struct ml_scope *scope);
    /* Called when there is no memory to go on with a task: no stack, or no copy of the frames that
     * lie on it. collect() tries to free some, and returns whether it did; it is also called in an
     * idle moment after many tasks have ended. If that is not enough, starve() must end the task,
     * which is ready (ml_task_drop()). Both run on the hub's own stack. NULL: the hub tries again
     * in a while. */
    bool (*collect)(struct ml_hub *hub);
    void (*starve)(struct ml_task *task);
};

#endif
