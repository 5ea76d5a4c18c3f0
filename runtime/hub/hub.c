#include "hub/hub.h"

#include "base/check.h"
#include "hub/choice.h"
#include "hub/cxx.h"
#include "hub/deadlines.h"
#include "hub/offload.h"
#include "hub/poll_set.h"
#include "hub/ready.h"
#include "hub/run.h"
#include "hub/scope.h"
#include "hub/slice.h"
#include "hub/wait.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * Functions marked noinline keep their registers off the stack of a task that waits: each byte of
 * frame there is paid once per task.
 */
static void task_main(void *argument);
static void strand_main(void *argument);

/* The loop's epoll descriptor is the parent's, too. No worker thread came along. */
void ml_hub_forked(struct ml_hub *hub)
{
    hub->is_forked = hub->attention = true;
    hub->foreign = NULL;
    hub->offload = NULL;
    if (hub->current != NULL)
        hub->current->cancelled = true; /* so that ml_cancel_point() looks closer */
}

/* In a child that a task forked. */
static void on_fork(void)
{
    if (ml_bank_current != NULL)
        ml_hub_forked(ml_container_of(ml_bank_current, struct ml_hub, bank));
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, on_fork);
}

int ml_hub_init(struct ml_hub *hub, struct ml_pool *pool, unsigned stacks, size_t stack_size)
{
    *hub = (struct ml_hub){.budget = ML_SWITCHES_PER_LOOK, .return_at = ML_FOREVER};
    ml_bank_init(&hub->bank, pool, stacks, stack_size);
    ml_list_init(&hub->ready);
    ml_list_init(&hub->idlers);
    ml_list_init(&hub->locked);
    ml_list_init(&hub->poll_sets);
    ml_slots_init(&hub->slots);
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    hub->poller = ml_poller_open();
    return hub->poller != NULL ? 0 : -errno;
}

void ml_hub_release(struct ml_hub *hub)
{
    ML_CHECK(hub->alive == 0);
    while (hub->free_scopes != NULL) {
        struct ml_scope *scope = hub->free_scopes;
        hub->free_scopes = scope->outer;
        free(scope);
    }
    ml_coro_drop(&hub->bank, &hub->spare);
    ml_timers_release(&hub->timers);
    ml_slots_release(&hub->slots);
    ml_offload_release(hub);
    ml_poller_close(hub->poller);
    ml_bank_release(&hub->bank);
    free(hub->cxx);
}

/* Binds a strand of the task that has not run yet to a stack; errors of ml_coro_start(). */
static __attribute__((noinline)) int start(struct ml_hub *hub, struct ml_task *task,
                                           struct ml_strand *strand)
{
    enum ml_coro_stack kind = task->is_private ? ML_STACK_PRIVATE : ML_STACK_SHARED;
    ml_coro_entry *entry = task->state == ML_TASK_NEW ? task_main : strand_main;
    return ml_coro_start(&hub->bank, &strand->coro, kind, entry, hub);
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
    /* A private stack is mapped now, so that want of room is the spawner's to hear of. */
    if (task->is_private && start(hub, task, body) != 0) {
        ml_slots_give_back(&hub->slots, task->waiter.slot);
        return -ENOMEM;
    }
    task->id = ++hub->last_id;
    hub->alive++;
    hub->foreground += !task->is_daemon;
    ml_ready_push(hub, task);
    return 0;
}

void ml_task_wake(struct ml_task *task, enum ml_wake reason)
{
    if (task->state != ML_TASK_WAITING)
        return;
    if (ml_link_is_in_list(&task->waiter.link))
        ml_list_remove(&task->waiter.link);
    task->wake = reason;
    task->state = ML_TASK_READY;
    ml_ready_push(task->hub, task);
}

static __attribute__((noinline)) void end_task(struct ml_hub *hub, struct ml_task *task)
{
    task->state = ML_TASK_ENDED;
    ML_CHECK(task->held == 0);
    ml_choice_close(task);
    ml_scope_close_all(task);
    ml_wake_all(hub, &task->joiners);
    ml_slots_give_back(&hub->slots, task->waiter.slot);
    ml_deadline_forget(hub, task);
    task->strand->coro.tag = ML_STRAND_UNBOUND;
    task->strand = NULL;
    hub->alive--;
    hub->foreground -= !task->is_daemon;
}

/* The next task that may run now; NULL when the hub has to look after something first. */
static inline struct ml_task *next_ready(struct ml_hub *hub)
{
    if (ml_unlikely(--hub->budget == 0))
        ml_hub_look_at_clock(hub);
    return ml_likely(!hub->attention) ? ml_ready_pop(hub) : NULL;
}

/* Sees to it that `task` can be switched to from the running stack; errors of ml_coro_start() and
 * ml_bank_place(). */
static inline int prepare(struct ml_hub *hub, struct ml_task *task, struct ml_strand *strand)
{
    return ml_coro_is_unbound(&strand->coro) ? start(hub, task, strand)
                                             : ml_bank_place(&hub->bank, &strand->coro);
}

/* Makes `next` the current task, or the hub itself when there is none or it cannot be put in place
 * from here; returns what to switch to. */
static inline struct ml_coro *choose(struct ml_hub *hub, struct ml_task *next)
{
    if (ml_likely(next != NULL && prepare(hub, next, next->strand) == 0)) {
        hub->current = next;
        return &next->strand->coro;
    }
    hub->handoff = next;
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
    unsigned count = hub->cxx->count;
    struct ml_cxx_globals saved[count];
    ml_cxx_save(hub->cxx, saved);
    leave(hub);
    ml_cxx_restore(hub->cxx, saved, count);
}

void ml_hub_park(struct ml_hub *hub)
{
    struct ml_task *self = hub->current;
    self->saved_errno = *hub->thread_errno;
    ml_slice_renew(hub);
    if (ml_likely(hub->cxx == NULL))
        leave(hub);
    else
        leave_with_cxx(hub);
    *hub->thread_errno = self->saved_errno;
    self->state = ML_TASK_RUNNING;
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
    if (ml_likely(error == 0))
        pass(hub);
    return error;
}

void ml_pass(struct ml_hub *hub)
{
    pass(hub);
}

/* ---- strands ---- */

int ml_hub_prepare_strand(struct ml_hub *hub, struct ml_strand *strand)
{
    if (ml_coro_is_unbound(&strand->coro) && ml_coro_adopt(&hub->spare, &strand->coro))
        return 0;
    return prepare(hub, hub->current, strand);
}

/*
 * A strand of the running task is about to run. Who interrupts from a signal handler finds it through
 * task->strand; who came before that was set has left the attention flag.
 */
static inline void attend(struct ml_hub *hub)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (ml_unlikely(hub->attention) && hub->noticed != NULL)
        hub->noticed(hub);
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
    hub->handoff = task;
    hub->current = NULL;
    ml_coro_switch(&hub->bank, &hub->bank.origin);
    hub->current->state = ML_TASK_RUNNING;
}

static __attribute__((noinline)) void go_on_with_cxx(struct ml_hub *hub, struct ml_strand *strand,
                                                     bool is_in_place)
{
    unsigned count = hub->cxx->count;
    struct ml_cxx_globals saved[count];
    ml_cxx_save(hub->cxx, saved);
    go_on(hub, strand, is_in_place);
    ml_cxx_restore(hub->cxx, saved, count);
}

void ml_hub_go_on(struct ml_hub *hub, struct ml_strand *strand, bool is_in_place)
{
    if (ml_likely(hub->cxx == NULL))
        go_on(hub, strand, is_in_place);
    else
        go_on_with_cxx(hub, strand, is_in_place);
}

/* A spare whose frames were moved away meanwhile serves nobody. */
static inline void drop_useless_spare(struct ml_hub *hub)
{
    if (hub->spare.seat != NULL && hub->spare.seat->occupant != &hub->spare)
        ml_coro_drop(&hub->bank, &hub->spare);
}

void ml_hub_end_strand(struct ml_hub *hub, struct ml_strand *next)
{
    struct ml_task *task = hub->current;
    task->strand = next;
    attend(hub);
    drop_useless_spare(hub);
    struct ml_coro *to = &next->coro;
    if (ml_unlikely(prepare(hub, task, next) != 0)) {
        hub->handoff = task;
        hub->current = NULL;
        to = &hub->bank.origin;
    }
    if (hub->spare.seat != NULL || task->is_private)
        ml_coro_exit(&hub->bank, to);
    ml_coro_retire(&hub->bank, &hub->spare, to);
}

static void strand_main(void *argument)
{
    struct ml_hub *hub = argument;
    for (;;) {
        hub->current->state = ML_TASK_RUNNING;
        hub->strand_body(hub->current->strand);
    }
}

/* ---- from the hub's own stack ---- */

bool ml_hub_enter(struct ml_hub *hub, struct ml_task *next)
{
    if (ml_unlikely(prepare(hub, next, next->strand) != 0))
        return false;
    hub->current = next;
    attend(hub);
    ml_coro_switch(&hub->bank, &next->strand->coro);
    return true;
}

/* ---- the end of tasks ---- */

/* The running task has ended: goes on as the next one, on this very stack if that has not begun. */
static __attribute__((noinline)) void run_next(struct ml_hub *hub)
{
    struct ml_task *ended = hub->current;
    struct ml_task *next = next_ready(hub);
    bool is_new = next != NULL && next->state == ML_TASK_NEW;
    if (is_new && !next->is_private && !ended->is_private) {
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
        task->state = ML_TASK_RUNNING;
        hub->body(task);
        end_task(hub, task);
        run_next(hub);
    }
}

/* Abandons the chain of a task but for the body, which is its strand from now on, and the frames of
 * the running strand. */
static void drop_chain(struct ml_hub *hub, struct ml_task *task)
{
    while (task->strand->resumer != NULL) {
        struct ml_strand *strand = task->strand;
        task->strand = strand->resumer;
        strand->resumer = NULL;
        if (&strand->coro != hub->bank.running)
            ml_coro_drop(&hub->bank, &strand->coro);
        strand->coro.tag = ML_STRAND_UNBOUND;
    }
    if (&task->strand->coro != hub->bank.running)
        ml_coro_drop(&hub->bank, &task->strand->coro);
    task->depth = 0;
}

_Noreturn void ml_task_restart(struct ml_hub *hub)
{
    struct ml_task *task = hub->current;
    ml_choice_close(task);
    ml_scope_close_all(task);
    drop_chain(hub, task);
    task->state = ML_TASK_NEW;
    ml_ready_push_first(hub, task);
    hub->current = NULL;
    ml_coro_exit(&hub->bank, &hub->bank.origin);
}

void ml_task_drop(struct ml_hub *hub, struct ml_task *task)
{
    ML_CHECK(task != hub->current);
    hub->external -= task->waits_externally;
    if (hub->handoff == task)
        hub->handoff = NULL;
    else if (task->state == ML_TASK_READY || task->state == ML_TASK_NEW)
        ml_ready_remove(hub, task);
    if (ml_link_is_in_list(&task->waiter.link))
        ml_list_remove(&task->waiter.link);
    ml_poll_sets_drop(hub, task);
    drop_chain(hub, task);
    end_task(hub, task);
}

void ml_hub_notify(struct ml_hub *hub)
{
    hub->attention = true;
    ml_poller_notify(hub->poller);
}

struct ml_task *ml_hub_next_task(const struct ml_hub *hub, uint32_t *slot)
{
    struct ml_task *task = NULL;
    while (task == NULL && *slot < hub->slots.count)
        task = ml_slots_task(&hub->slots, (*slot)++);
    return task;
}

void ml_hub_find_cxx(struct ml_hub *hub, const char *library)
{
    ml_cxx_find(&hub->cxx, library);
}
