#include "hub/state/ready.h"

#include "hub/state/observer.h"

static struct ml_task *task_of(struct ml_link *link)
{
    return ml_container_of(link, struct ml_task, waiter.link);
}

/* The queue is long when many connections are busy, and each task's memory is not in the cache. So
 * while one runs, the frames of the next, the strand of the one after it and the struct of the
 * third are prefetched. */
__attribute__((noinline)) struct ml_task *ml_ready_prefetch(const struct ml_hub *hub,
                                                            struct ml_task *task)
{
    struct ml_link *next = hub->ready.queue.next;
    ml_coro_prefetch(&task_of(next)->strand->coro);
    if (hub->hooks.prefetch != NULL)
        hub->hooks.prefetch(task_of(next));
    next = next->next;
    __builtin_prefetch(task_of(next)->strand);
    next = next->next;
    __builtin_prefetch(task_of(next));
    __builtin_prefetch((char *)task_of(next) + 64);
    __builtin_prefetch((char *)task_of(next) + 128);
    return task;
}

/* The first task that has not begun, if it stands near the front and was not preempted; NULL:
 * none. */
static struct ml_link *first_unborn(const struct ml_hub *hub)
{
    enum { NEAR = 64 };
    struct ml_link *link = hub->ready.queue.next;
    int steps = 0;
    while (link != hub->ready.rest && task_of(link)->state != ML_TASK_NEW && ++steps < NEAR)
        link = link->next;
    bool is_found = link != hub->ready.rest && task_of(link)->state == ML_TASK_NEW;
    return is_found ? link : NULL;
}

/* `rest` stands before that task during the poll. After ten polls the task comes first once. */
void ml_ready_let_woken_first(struct ml_hub *hub)
{
    enum { MOST = 10 };
    struct ml_link *unborn = first_unborn(hub);
    hub->ready.gave_way = false;
    hub->ready.let_first = unborn == hub->ready.unborn ? hub->ready.let_first + 1 : 0;
    hub->ready.unborn = unborn;
    if (unborn == NULL || hub->ready.let_first >= MOST) {
        hub->ready.unborn = NULL;
        return;
    }
    hub->ready.mark = hub->ready.rest;
    hub->ready.rest = unborn;
}

void ml_ready_push_preempted(struct ml_hub *hub, struct ml_task *task)
{
    hub->ready.gave_way = true;
    bool is_first = hub->ready.rest == &hub->ready.queue;
    ml_list_insert(&hub->ready.queue, &task->waiter.link);
    hub->ready.count++;
    if (is_first)
        hub->ready.rest = &task->waiter.link;
}

void ml_ready_promote(struct ml_hub *hub)
{
    if (hub->ready.rest != &hub->ready.queue)
        hub->ready.rest = hub->ready.rest->next;
    hub->ready.passed_over = 0;
}

struct ml_task *ml_ready_pop_preempted(struct ml_hub *hub)
{
    ml_ready_promote(hub);
    return ml_list_is_empty(&hub->ready.queue) ? NULL : ml_ready_pop(hub);
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
    ml_observe(task->hub, task, ML_TASK_WOKEN);
}

/* How far from the front of the ready queue a task may be chosen. */
enum { SHUFFLED = 64 };

void ml_ready_set_shuffle(struct ml_hub *hub, uint64_t seed)
{
    hub->ready.shuffle_state = seed != 0 ? seed * 0x9E3779B97F4A7C15u | 1 : 0;
    hub->waits.spurious = false; /* so the extra wake-ups of the hostile build are the same each
                                    time, too */
}

/* George Marsaglia, "Xorshift RNGs", 2003. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void ml_ready_shuffle(struct ml_hub *hub)
{
    uint32_t count = hub->ready.count < SHUFFLED ? hub->ready.count : SHUFFLED;
    uint32_t steps = (uint32_t)(next_random(&hub->ready.shuffle_state) % count);
    struct ml_link *chosen = hub->ready.queue.next;
    while (steps-- > 0)
        chosen = chosen->next;
    if (chosen == hub->ready.queue.next)
        return;
    if (chosen == hub->ready.rest)
        hub->ready.rest = chosen->next;
    ml_list_remove(chosen);
    ml_list_insert(hub->ready.queue.next, chosen);
}
