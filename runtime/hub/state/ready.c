#include "hub/state/ready.h"

static struct ml_task *task_of(struct ml_link *link)
{
    return ml_container_of(link, struct ml_task, waiter.link);
}

/* The queue is long when many connections are busy, and each task cold: while one runs, the frames
 * of the next, the strand of the one after it and the struct of the third are fetched. */
__attribute__((noinline)) struct ml_task *ml_ready_prefetch(const struct ml_hub *hub,
                                                            struct ml_task *task)
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
    return task;
}
