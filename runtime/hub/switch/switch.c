#include "hub/switch/switch.h"

#include "base/check.h"
#include "coro/coro.h"
#include "hub/state/choice.h"
#include "hub/state/deadlines.h"
#include "hub/state/observer.h"
#include "hub/state/ready.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/switch/cxx.h"
#include "hub/switch/pace.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

/*
 * Functions marked noinline keep their registers off the stack of a task that waits: each byte of
 * frame there is paid once per task.
 */
static void task_main(void *argument);
static void strand_main(void *argument);

/* The body of a task begins on the kind of stack that was asked for, a strand on the kind of the
 * one that resumes it, in whatever task: the strands of one on a stack of its own do not move
 * either. */
static bool begins_private(const struct ml_task *task, const struct ml_strand *strand)
{
    const struct ml_strand *by = strand->resumer != NULL ? strand->resumer : task->strand;
    return by != strand ? ml_coro_is_private(&by->coro) : task->is_private;
}

/* Binds a strand of the task that has not run yet to a stack; errors of ml_coro_start(). */
static __attribute__((noinline)) int start(struct ml_hub *hub, struct ml_task *task,
                                           struct ml_strand *strand)
{
    enum ml_coro_stack kind = begins_private(task, strand) ? ML_STACK_PRIVATE : ML_STACK_SHARED;
    ml_coro_entry *entry = task->state == ML_TASK_NEW ? task_main : strand_main;
    return ml_coro_start(&hub->bank, &strand->coro, kind, entry, hub);
}

/* The reserve for frames is brought up to date for so many tasks at once. */
enum { BIRTHS = 256 };

/*
 * The reserve has room for some more tasks than are to begin. When the first task of a burst
 * begins, that room is given back, so that the task finds memory for what it computes. (Room for
 * 1,700 is as much as the pool's next arena.)
 */
static uint32_t slack(uint32_t unborn)
{
    enum { LEAST = 64, MOST = 1700 };
    return unborn < MOST ? LEAST + unborn : LEAST + MOST;
}

static __attribute__((noinline)) int expect_more(struct ml_hub *hub)
{
    uint32_t unborn = hub->tasks.unborn, most = unborn + unborn / 8 + BIRTHS;
    int error = ml_bank_expect(&hub->bank, most + slack(unborn));
    if (error != 0)
        return error;
    hub->tasks.expected = most;
    return 0;
}

static __attribute__((noinline)) void expect_fewer(struct ml_hub *hub)
{
    hub->tasks.expected = hub->tasks.unborn + BIRTHS;
    hub->tasks.expected_least = hub->tasks.unborn > BIRTHS ? hub->tasks.unborn - BIRTHS : 0;
    ml_bank_expect(&hub->bank, hub->tasks.expected);
}

/* A task on a shared stack begins, or never will. */
static inline void count_birth(struct ml_hub *hub, const struct ml_task *task)
{
    if (ml_likely(!task->is_private) &&
        ml_unlikely(--hub->tasks.unborn < hub->tasks.expected_least))
        expect_fewer(hub);
}

/* From now on there is a stack, so that the spawner gets the error if there is no room. */
static inline int provide(struct ml_hub *hub, struct ml_task *task)
{
    enum { BURST = 1024 };
    if (ml_unlikely(task->is_private))
        return start(hub, task, task->strand);
    if (ml_unlikely(hub->tasks.unborn >= hub->tasks.expected) && expect_more(hub) != 0)
        return -ENOMEM;
    if (++hub->tasks.unborn > BURST)
        hub->tasks.expected_least = hub->tasks.unborn;
    return 0;
}

/* As of the last poll: reading the clock takes a tenth of a spawn's time. */
static inline ml_time time_of_spawn(const struct ml_hub *hub)
{
    if (ml_unlikely(hub->clock.virtual_now != 0))
        return hub->clock.virtual_now;
    return ml_likely(hub->pace.polled_at != 0) ? hub->pace.polled_at : ml_clock_now();
}

int ml_task_spawn(struct ml_hub *hub, struct ml_task *task, struct ml_strand *body,
                  struct ml_spawn_options options)
{
    task->hub = hub;
    task->strand = body;
    task->state = ML_TASK_NEW;
    task->waiter.index = 1;
    body->coro.tag = ML_STRAND_ACTIVE;
    task->is_daemon = options.is_daemon;
    task->is_private = options.private_stack || hub->bank.all_private;
    task->deadline = task->timer_at = ML_FOREVER;
    ml_list_init(&task->joiners);
    if (ml_slots_take(&hub->slots, task, &task->waiter.slot) != 0)
        return -ENOMEM;
    if (ml_unlikely(provide(hub, task) != 0)) {
        ml_slots_give_back(&hub->slots, task->waiter.slot);
        return -ENOMEM;
    }
    task->id = ++hub->tasks.last_id;
    task->spawned_at = time_of_spawn(hub);
    hub->tasks.alive++;
    hub->tasks.foreground += !task->is_daemon;
    ml_ready_push(hub, task);
    ml_observe(hub, task, ML_TASK_SPAWNED);
    return 0;
}

static __attribute__((noinline)) void end_task(struct ml_hub *hub, struct ml_task *task)
{
    task->state = ML_TASK_ENDED;
    ml_observe(hub, task, ML_TASK_FINISHED);
    ML_CHECK(task->held == 0);
    ml_choice_close(task);
    ml_scope_close_all(task);
    ml_wake_all(hub, &task->joiners);
    ml_slots_give_back(&hub->slots, task->waiter.slot);
    ml_deadline_forget(hub, task);
    task->strand->coro.tag = ML_STRAND_UNBOUND;
    task->strand = NULL;
    hub->tasks.alive--;
    hub->tasks.ended++;
    hub->tasks.foreground -= !task->is_daemon;
    hub->slice.spent = 0; /* as in ml_hub_park(): the next task has a slice of its own */
}

/* The next task that may run now; NULL: the hub has to run first. */
static inline struct ml_task *next_ready(struct ml_hub *hub)
{
    ml_pace_count(hub);
    return ml_likely(!ml_hub_wants_attention(hub)) ? ml_ready_pop(hub) : NULL;
}

/* Prepares `task` for a switch from the running stack; errors of ml_coro_start() and
 * ml_bank_place(). */
static inline int prepare(struct ml_hub *hub, struct ml_task *task, struct ml_strand *strand)
{
    return ml_coro_is_unbound(&strand->coro) ? start(hub, task, strand)
                                             : ml_bank_place(&hub->bank, &strand->coro);
}

/* Makes `next` the current task, or the hub itself if there is none or it cannot be put in place
 * from here; returns the coroutine to switch to. */
static inline struct ml_coro *choose(struct ml_hub *hub, struct ml_task *next)
{
    if (ml_likely(next != NULL && prepare(hub, next, next->strand) == 0)) {
        hub->current = next;
        return &next->strand->coro;
    }
    hub->switcher.handoff = next;
    hub->current = NULL;
    return &hub->bank.origin;
}

/* Leaves the running task, which stands in a queue or waits, for the next one that can run. */
static inline void leave(struct ml_hub *hub)
{
    struct ml_coro *next = choose(hub, next_ready(hub));
    if (next != hub->bank.running)
        ml_coro_switch(&hub->bank, next);
}

static __attribute__((noinline)) void leave_with_cxx(struct ml_hub *hub)
{
    unsigned count = hub->switcher.cxx->count;
    struct ml_cxx_globals saved[count];
    ml_cxx_save(hub->switcher.cxx, saved);
    leave(hub);
    ml_cxx_restore(hub->switcher.cxx, saved, count);
}

void ml_hub_park(struct ml_hub *hub)
{
    struct ml_task *self = hub->current;
    self->saved_errno = *hub->run.thread_errno;
    hub->slice.spent = 0; /* hub/wait/slice.h, which lies above */
    self->switches++;
    ml_observe(hub, self, ML_TASK_PAUSED);
    if (ml_likely(hub->switcher.cxx == NULL))
        leave(hub);
    else
        leave_with_cxx(hub);
    *hub->run.thread_errno = self->saved_errno;
    self->state = ML_TASK_RUNNING;
    ml_observe(hub, self, ML_TASK_RESUMED);
}

static inline void pass(struct ml_hub *hub)
{
    struct ml_task *self = hub->current;
    self->state = ML_TASK_READY;
    ml_ready_push(hub, self);
    ml_hub_park(hub);
}

int ml_yield(struct ml_hub *hub)
{
    int error = ml_cancel_point(hub);
    if (ml_likely(error == 0)) {
        hub->current->computed = 0;
        pass(hub);
    }
    return error;
}

void ml_pass(struct ml_hub *hub)
{
    pass(hub);
}

void ml_give_way(struct ml_hub *hub)
{
    struct ml_task *self = hub->current;
    self->state = ML_TASK_READY;
    atomic_store_explicit(&hub->attention, true, memory_order_relaxed);
    ml_ready_push_preempted(hub, self);
    ml_hub_park(hub);
}

/* ---- strands ---- */

int ml_hub_prepare_strand(struct ml_hub *hub, struct ml_strand *strand)
{
    if (ml_coro_is_unbound(&strand->coro) && !hub->bank.running->seat->is_private &&
        ml_coro_adopt(&hub->switcher.spare, &strand->coro))
        return 0;
    return prepare(hub, hub->current, strand);
}

/*
 * A strand of the running task is about to run. A signal handler that interrupts from now on finds
 * it through task->strand; one that ran before has set the attention flag.
 */
static inline void attend(struct ml_hub *hub)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (ml_unlikely(ml_hub_wants_attention(hub)) && hub->hooks.noticed != NULL)
        hub->hooks.noticed(hub);
}

static void go_on(struct ml_hub *hub, struct ml_strand *strand, bool is_in_place)
{
    struct ml_task *task = hub->current;
    task->strand = strand;
    attend(hub);
    if (ml_likely(is_in_place)) {
        ml_coro_switch(&hub->bank, &strand->coro);
        return;
    }
    hub->switcher.handoff = task;
    hub->current = NULL;
    ml_coro_switch(&hub->bank, &hub->bank.origin);
    hub->current->state = ML_TASK_RUNNING;
}

static __attribute__((noinline)) void go_on_with_cxx(struct ml_hub *hub, struct ml_strand *strand,
                                                     bool is_in_place)
{
    unsigned count = hub->switcher.cxx->count;
    struct ml_cxx_globals saved[count];
    ml_cxx_save(hub->switcher.cxx, saved);
    go_on(hub, strand, is_in_place);
    ml_cxx_restore(hub->switcher.cxx, saved, count);
}

void ml_hub_go_on(struct ml_hub *hub, struct ml_strand *strand, bool is_in_place)
{
    if (ml_likely(hub->switcher.cxx == NULL))
        go_on(hub, strand, is_in_place);
    else
        go_on_with_cxx(hub, strand, is_in_place);
}

/* Drops a spare whose frames were moved away meanwhile: it is of no use. */
static inline void drop_useless_spare(struct ml_hub *hub)
{
    if (hub->switcher.spare.seat != NULL &&
        hub->switcher.spare.seat->occupant != &hub->switcher.spare)
        ml_coro_drop(&hub->bank, &hub->switcher.spare);
}

void ml_hub_end_strand(struct ml_hub *hub, struct ml_strand *next)
{
    struct ml_task *task = hub->current;
    task->strand = next;
    attend(hub);
    drop_useless_spare(hub);
    struct ml_coro *to = &next->coro;
    if (ml_unlikely(prepare(hub, task, next) != 0)) {
        hub->switcher.handoff = task;
        hub->current = NULL;
        to = &hub->bank.origin;
    }
    if (hub->switcher.spare.seat != NULL || hub->bank.running->seat->is_private)
        ml_coro_exit(&hub->bank, to);
    ml_coro_retire(&hub->bank, &hub->switcher.spare, to);
}

static void strand_main(void *argument)
{
    struct ml_hub *hub = argument;
    for (;;) {
        hub->current->state = ML_TASK_RUNNING;
        hub->hooks.strand_body(hub->current->strand);
    }
}

/* ---- from the hub's own stack ---- */

struct ml_task *ml_hub_take_next(struct ml_hub *hub)
{
    struct ml_task *next = hub->switcher.handoff;
    hub->switcher.handoff = NULL;
    return next != NULL ? next : ml_ready_pop(hub);
}

bool ml_hub_enter(struct ml_hub *hub, struct ml_task *next)
{
    if (ml_unlikely(prepare(hub, next, next->strand) != 0))
        return false;
    hub->current = next;
    attend(hub);
    if (ml_unlikely(atomic_load_explicit(&hub->watch.is_asleep, memory_order_relaxed)))
        hub->hooks.roused(hub);
    ml_coro_switch(&hub->bank, &next->strand->coro);
    return true;
}

/* ---- the end of tasks ---- */

/* The running task has ended: goes on as the next one, on this very stack if that has not begun. */
static __attribute__((noinline)) void run_next(struct ml_hub *hub)
{
    struct ml_task *next = next_ready(hub);
    bool is_new = next != NULL && next->state == ML_TASK_NEW;
    if (is_new && !next->is_private && !hub->bank.running->seat->is_private) {
        hub->current = next;
        ml_coro_hand_over(&hub->bank, &next->strand->coro);
        return;
    }
    ml_coro_exit(&hub->bank, choose(hub, next));
}

static void task_main(void *argument)
{
    struct ml_hub *hub = argument;
    for (;;) {
        struct ml_task *task = hub->current;
        count_birth(hub, task);
        task->state = ML_TASK_RUNNING;
        ml_observe(hub, task, ML_TASK_RESUMED);
        hub->hooks.body(task);
        end_task(hub, task);
        run_next(hub);
    }
}

static void drop_frames(struct ml_hub *hub, struct ml_strand *strand)
{
    if (&strand->coro != hub->bank.running)
        ml_coro_drop(&hub->bank, &strand->coro);
}

/* Abandons the frames of a task's chain, except those that run. From now on the body is its strand;
 * the others stay linked by `resumer`, down to the body. */
static void drop_chain(struct ml_hub *hub, struct ml_task *task)
{
    struct ml_strand *strand = task->strand;
    for (; strand->resumer != NULL; strand = strand->resumer) {
        drop_frames(hub, strand);
        strand->coro.tag = ML_STRAND_UNBOUND;
    }
    drop_frames(hub, strand);
    task->strand = strand;
    task->depth = 0;
}

static void unlink_chain(struct ml_strand *strand)
{
    while (strand != NULL) {
        struct ml_strand *resumer = strand->resumer;
        strand->resumer = NULL;
        strand = resumer;
    }
}

_Noreturn void ml_task_restart(struct ml_hub *hub)
{
    struct ml_task *task = hub->current;
    ml_choice_close(task);
    ml_scope_close_all(task);
    drop_chain(hub, task);
    task->state = ML_TASK_NEW;
    hub->tasks.unborn += !task->is_private;
    ml_ready_push_first(hub, task);
    hub->current = NULL;
    ml_coro_exit(&hub->bank, &hub->bank.origin);
}

void ml_task_drop(struct ml_hub *hub, struct ml_task *task)
{
    ML_CHECK(task != hub->current);
    ml_hub_end_wait(hub, task);
    if (task->state == ML_TASK_NEW)
        count_birth(hub, task);
    if (hub->switcher.handoff == task)
        hub->switcher.handoff = NULL;
    else if (task->state == ML_TASK_READY || task->state == ML_TASK_NEW)
        ml_ready_remove(hub, task);
    if (ml_link_is_in_list(&task->waiter.link))
        ml_list_remove(&task->waiter.link);
    if (hub->poll_sets.dropped != NULL)
        hub->poll_sets.dropped(hub, task);
    struct ml_strand *innermost = task->strand;
    drop_chain(hub, task);
    unlink_chain(innermost);
    end_task(hub, task);
}

void ml_hub_find_cxx(struct ml_hub *hub, const char *library)
{
    ml_cxx_find(&hub->switcher.cxx, library);
}
