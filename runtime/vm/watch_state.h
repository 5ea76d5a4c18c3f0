/*
 * What pokes, the watchdog, preemption, warnings of slow tasks and the alarm of dumps keep of each
 * runtime: for vm/poke.c, vm/watchdog.c, vm/preempt.c, vm/slow.c and vm/dump_alarm.c alone.
 */
#ifndef ML_VM_WATCH_STATE_H
#define ML_VM_WATCH_STATE_H

#include "base/clock.h"
#include "base/list.h"
#include "hub/state/observer.h"
#include "system/signal/receiver.h"
#include "vm/native_stack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct moonlet;
struct ml_task;

struct ml_poke {
    struct ml_signal_receiver receiver;
    int number;      /* the signal; 0: closed */
    int thread;      /* the kernel's number of the runtime's thread */
    clockid_t clock; /* of what that thread has computed */
    atomic_uint due; /* bits 1 << enum ml_hook_reason, ML_POKE_LOOK */
    /* Called in the handler while that task runs, if a look is due. May arm hooks. */
    void (*look)(struct moonlet *m, struct ml_task *task);
    /* Called in the handler while that task runs, at every poke. */
    void (*arrived)(struct moonlet *m, struct ml_task *task);
    /* A backtrace for another thread: the number of the last that was asked for, and of the last
     * that was taken. */
    atomic_uint asked, taken;
    pthread_mutex_t asking; /* held by the thread that asks */
    int frame_count;
    void *frames[ML_NATIVE_FRAMES];
};

/* vm/dump_alarm.c. */
struct ml_dump_alarm {
    atomic_int timer; /* the kernel's number of the timer plus 1; 0: there is none */
    /* What the thread had computed when the dump was asked for, and at the last look; -1: there was
     * none. */
    ml_time spent_then, spent_last;
};

/* The running task of a hub, and a number that the next switch changes. */
struct ml_sight {
    _Atomic uintptr_t task; /* only compared; 0: none */
    _Atomic uint64_t switches;
};

struct ml_watch {
    struct ml_link link;       /* among the watched ones; next NULL: not watched */
    _Atomic ml_time limit;     /* a task that keeps the thread so long is looked at; ML_FOREVER */
    struct ml_sight sight;     /* the last one */
    _Atomic ml_time since;     /* the task began to run then, or a little later */
    _Atomic ml_time spent;     /* what the thread had computed when the watchdog saw it first */
    _Atomic ml_time passed_at; /* when a task was preempted last */
    _Atomic ml_time look_at;   /* when the task is looked at. A look may put the next one off */
    /* Only for the watchdog's thread. */
    ml_time round_at; /* when the last round was */
    ml_time seen_at;  /* when it saw the last sight first */
    ml_time checked_at;
    ml_time checked_spent; /* what the thread had computed in the last round; -1: not looked at */
    bool was_idle;         /* the last round has found the hub in the same poll */
    bool was_asleep;       /* ... and the next one was not before the hub told */
};

/* vm/slow.c. */
struct ml_slow {
    ml_time limit; /* ML_FOREVER: no warnings */
    /* The last that was found, and its calls of machine code then. */
    uint64_t task;
    uint32_t switches;
    ml_time computed;
    int frame_count;
    void *frames[ML_NATIVE_FRAMES];
    /* So many at a time. */
    ml_time span_began;
    unsigned written, left_out;
};

/* vm/preempt.c. */
struct ml_preempting {
    ml_time slice;    /* of tasks that have none of their own; ML_FOREVER: they are left alone */
    ml_time shortest; /* the least slice of any task so far */
    ml_time free_at;  /* the hook is not armed before: see ARMING_PART */
    /* What the hook is armed for: the task, and its switches then. */
    uint64_t task;
    uint32_t switches;
    bool is_due, is_slow;
    /* Begins the watch for slow tasks when there is a second task. */
    struct ml_observer observer;
};

#endif
