/*
 * The state of the scheduler of one thread: which task runs, which can run, which waits until when.
 * The folders above work on it: hub/switch/ goes from task to task, hub/loop/ polls when no task
 * can run, hub/wait/ parks, hub/on/ has what can be waited for. Knows no Lua; hooks.body is what a
 * task computes.
 */
#ifndef ML_HUB_STATE_HUB_H
#define ML_HUB_STATE_HUB_H

#include "coro/bank.h"
#include "hub/state/parts.h"
#include "hub/state/slots.h"
#include "hub/state/task.h"

#include <stdatomic.h>

struct ml_poller;
struct ml_libc_calls;

struct ml_hub {
    struct ml_bank bank;
    struct ml_task *current; /* the task that runs; NULL while the hub itself does. Written by
                                hub/switch/switch.c */
    struct ml_hub_ready ready;
    struct ml_hub_pace pace;
    struct ml_hub_slice slice;
    struct ml_hub_waits waits;
    struct ml_hub_run run;
    struct ml_hub_switcher switcher;
    struct ml_hub_watch watch;
    struct ml_hub_clock clock;
    struct ml_hub_tasks tasks;
    struct ml_hub_deadlines deadlines;
    struct ml_slots slots;
    struct ml_hub_scopes scopes;
    struct ml_poller *poller; /* hub/loop/poller.h */
    struct ml_hub_life life;
    atomic_bool attention; /* the hub runs before the next task: to poll, to stop. Any code may set
                              it; hub/loop/poll_once.c clears it */
    struct ml_hub_sync sync;
    struct ml_hub_idle idle;
    struct ml_hub_poll_sets poll_sets;
    struct ml_hub_offload offload;
    struct ml_hub_mail mail;
    struct ml_libc_calls
        *libc_calls;               /* interpose/libc_call.h; NULL: C libraries block the thread */
    struct ml_observer *observers; /* hub/state/observer.h; NULL: none */
    struct ml_trace *trace;        /* hub/state/trace.h; NULL: none is recorded */
    struct ml_hub_hooks hooks;
    void *owner; /* the code that set the hooks */
};

/* Other threads and signal handlers set the flag. Their earlier stores are visible once a poll
 * has ended. */
static inline bool ml_hub_wants_attention(const struct ml_hub *hub)
{
    return atomic_load_explicit(&hub->attention, memory_order_relaxed);
}

/* A wait of `task` is over, or the task is dropped in it: one wait fewer that an event can end. */
static inline void ml_hub_end_wait(struct ml_hub *hub, struct ml_task *task)
{
    hub->waits.external -= task->waits_externally;
    task->waits_externally = false;
}

/* The time by the clock that tasks see. */
static inline ml_time ml_hub_now(const struct ml_hub *hub)
{
    return ml_likely(hub->clock.virtual_now == 0) ? ml_clock_now() : hub->clock.virtual_now;
}

/* The next live task after `slot` (start with 0), or NULL: for (s = 0; (t = ml_hub_next_task(hub,
 * &s)) != NULL;) */
struct ml_task *ml_hub_next_task(const struct ml_hub *hub, uint32_t *slot);

/* The task that has this slot and this id; NULL: it has ended. */
static inline struct ml_task *ml_hub_task(const struct ml_hub *hub, uint32_t slot, uint64_t id)
{
    struct ml_task *task = slot < hub->slots.count ? ml_slots_task(&hub->slots, slot) : NULL;
    return task != NULL && task->id == id ? task : NULL;
}

#endif
