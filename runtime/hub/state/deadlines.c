#include "hub/state/deadlines.h"

#include "hub/state/ready.h"

#include <errno.h>
#include <stddef.h>

/* Fewer stale timer entries than this are never worth a sweep. */
enum { STALE_TOLERATED = 256 };

/* The generation of a task without an entry. */
enum { NONE = 0 };

static bool entry_is_live(void *context, const struct ml_timer_entry *entry)
{
    struct ml_hub *hub = context;
    struct ml_task *task = ml_slots_task(&hub->slots, entry->slot);
    return task != NULL && task->timer_generation == entry->generation;
}

void ml_deadline_forget(struct ml_hub *hub, struct ml_task *task)
{
    bool has_entry = task->timer_generation != NONE;
    struct ml_timers *timers = &hub->deadlines.timers;
    task->timer_at = ML_FOREVER;
    task->timer_generation = NONE;
    if (has_entry && ++timers->stale > STALE_TOLERATED && timers->stale > timers->count / 2)
        ml_timers_sweep(timers, entry_is_live, hub);
}

/* Generations may wrap around: an entry that is mistaken for a task's newer one wakes the task at
 * its deadline only. */
static uint32_t next_generation(struct ml_hub *hub)
{
    hub->deadlines.last_generation += hub->deadlines.last_generation < UINT32_MAX ? 1u : 2u;
    return hub->deadlines.last_generation;
}

/* noinline: its registers stay off the stack of the task that is about to wait. */
__attribute__((noinline)) int ml_deadline_arm(struct ml_hub *hub, struct ml_task *task)
{
    ml_time at = task->deadline;
    bool is_missed = task->timer_at == at && task->timer_generation == NONE;
    if (task->timer_at <= at && task->timer_generation != NONE)
        return 0;
    ml_deadline_forget(hub, task);
    if (is_missed)
        return -ETIMEDOUT;
    uint32_t generation = next_generation(hub);
    struct ml_timer_entry entry = {.at = at, .slot = task->waiter.slot, .generation = generation};
    if (ml_timers_add(&hub->deadlines.timers, entry) != 0)
        return -ENOMEM;
    task->timer_at = at;
    task->timer_generation = generation;
    return 0;
}

static void wake_due(struct ml_hub *hub, struct ml_timer_entry entry)
{
    struct ml_task *task = ml_slots_task(&hub->slots, entry.slot);
    if (task == NULL || task->timer_generation != entry.generation) {
        hub->deadlines.timers.stale--;
        return;
    }
    task->timer_generation = NONE;
    if (task->state != ML_TASK_WAITING) {
        task->timer_at = entry.at; /* missed: see ml_deadline_arm() */
        return;
    }
    task->timer_at = ML_FOREVER;
    if (task->deadline == ML_FOREVER)
        return;
    if (task->deadline <= entry.at) {
        ml_task_wake(task, ML_WAKE_DEADLINE);
        return;
    }
    /* Its deadline is later than the entry that an earlier wait left behind: it has its turn among
     * the others, even if it is due by now. There is room: the entry was just taken out. */
    task->timer_generation = entry.generation;
    entry.at = task->timer_at = task->deadline;
    ml_timers_add(&hub->deadlines.timers, entry);
}

void ml_deadlines_wake_due(struct ml_hub *hub, ml_time now)
{
    const struct ml_timer_entry *first;
    while ((first = ml_timers_first(&hub->deadlines.timers)) != NULL && first->at <= now) {
        struct ml_timer_entry entry = *first;
        ml_timers_pop(&hub->deadlines.timers);
        wake_due(hub, entry);
    }
}
