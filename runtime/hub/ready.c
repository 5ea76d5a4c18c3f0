#include "hub/ready.h"

#include "base/check.h"
#include "hub/simulation.h"

#include <stddef.h>

static struct ml_task *task_of(struct ml_link *link)
{
    return ml_container_of(link, struct ml_task, waiter.link);
}

/* The queue is long when many connections are busy, and each task cold: while one runs, the frames
 * of the next, the strand of the one after it and the struct of the third are fetched. */
static inline void prefetch(const struct ml_hub *hub)
{
    struct ml_link *next = hub->ready.next;
    ml_coro_prefetch(&task_of(next)->strand->coro);
    if (hub->prefetch != NULL)
        hub->prefetch(task_of(next));
    next = next->next;
    __builtin_prefetch(task_of(next)->strand);
    next = next->next;
    __builtin_prefetch(task_of(next));
    __builtin_prefetch((char *)task_of(next) + 64);
    __builtin_prefetch((char *)task_of(next) + 128);
}

/* noinline: its registers stay off the stack of the task that is about to leave. */
__attribute__((noinline)) struct ml_task *ml_ready_pop(struct ml_hub *hub)
{
    if (ml_list_is_empty(&hub->ready))
        return NULL;
    if (ml_unlikely(hub->shuffle_state != 0))
        ml_simulation_shuffle(hub);
    struct ml_task *task = task_of(hub->ready.next);
    ml_ready_remove(hub, task);
    if (hub->ready_count > 2)
        prefetch(hub);
    return task;
}
