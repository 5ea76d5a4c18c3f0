/*
 * A task as the scheduler sees it: strands, one of which runs, a state, a place in queues, scopes
 * and a wait record. Its program is hub->hooks.body. Knows no Lua.
 *
 * Memory: the owner embeds the struct and keeps it until the task is done. All that the hub or
 * another task touches while this one waits lies in this struct, never on the task's C stack.
 */
#ifndef ML_HUB_STATE_TASK_H
#define ML_HUB_STATE_TASK_H

#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "hub/state/strand.h"

#include <stdbool.h>
#include <stdint.h>

struct ml_hub;

enum ml_task_state {
    ML_TASK_NEW,     /* spawned, has not run yet; stands in the ready queue */
    ML_TASK_READY,   /* stands in the ready queue */
    ML_TASK_RUNNING, /* hub->current */
    ML_TASK_WAITING, /* parked in ml_wait() */
    ML_TASK_ENDED    /* its stack is gone */
};

/* The reason for the end of a wait. */
enum ml_wake { ML_WAKE_NONE, ML_WAKE_EVENT, ML_WAKE_DEADLINE, ML_WAKE_CANCEL };

/* What task->waits_on numbers, for reports. */
enum ml_wait_target {
    ML_TARGET_NONE,
    ML_TARGET_TASK, /* has to act before the wait ends */
    ML_TARGET_DESCRIPTOR,
    ML_TARGET_PROCESS
};

/* What a wait is for, for reports; one static object per kind. */
struct ml_wait_kind {
    const char *text; /* completes "waits for ..." */
    enum ml_wait_target target;
    bool external;   /* an event from outside can end it: from a descriptor, a name server, another
                        thread */
    bool is_lasting; /* it may never happen: daemons may wait for it to the end of the program */
};

/*
 * A place in a queue of waiting tasks. A task embeds the one that nearly every wait needs; a wait
 * for several things at once has one more for each (hub/state/choice.h). It names its task by slot.
 */
struct ml_waiter {
    struct ml_link link;
    uint32_t slot;  /* index of the task in hub->slots */
    uint16_t index; /* the value of task->granted when this one is granted; 1 for a task's own */
    uint16_t value; /* for the queue's owner: where the waiter's own value is kept */
};

/* The value of waiter.value after a grant of nothing: the thing it waited for was closed. */
enum { ML_WAITER_CLOSED = UINT16_MAX };

struct ml_task {
    struct ml_waiter waiter;  /* in the ready queue, or in the queue it waits in */
    struct ml_strand *strand; /* the one that runs, or will when the task does */
    struct ml_hub *hub;
    struct ml_link joiners;   /* tasks that wait for the end of this one */
    struct ml_scope *scope;   /* the innermost in force; NULL: only the task itself */
    struct ml_choice *choice; /* hub/state/choice.h: waits for several things; NULL otherwise */
    ml_time deadline;         /* of the wait under way, scopes included; ML_FOREVER without */
    ml_time timer_at; /* when its entry of the timer heap is due, or was; ML_FOREVER: none */
    const struct ml_wait_kind *waits_for;
    struct ml_link *queue; /* that it waits in; NULL: none. Valid while it waits */
    ml_time spawned_at;    /* when the hub last looked at the clock before that */
    uint64_t id;           /* counts from 1, never reused in a hub */
    uint32_t waits_on;     /* number of the task or descriptor waited for, for reports */
    uint32_t timer_generation;
    uint32_t told; /* for the owner: the last cancellation that its program got; 0: none */
    int saved_errno;
    uint32_t computed; /* for the owner: what it has computed since it last waited or yielded */
    uint16_t depth;    /* strands below the one that runs; 0: it is the body */
    uint16_t granted;  /* index of the waiter that was given what it waits for; 0: none */
    uint32_t held;     /* locks it holds; so many that the count wraps do not fit into memory */
    uint32_t switches; /* how often it has let the next task run; wraps */
    uint8_t state;     /* enum ml_task_state */
    uint8_t wake;      /* enum ml_wake */
    bool is_daemon;
    bool is_private;    /* has a stack of its own */
    bool was_cancelled; /* the task as a whole, by ml_task_cancel() */
    bool cancelled;     /* the task or an open scope */
    bool waits_externally;
    bool is_joined; /* a task waits for its end */
};

#endif
