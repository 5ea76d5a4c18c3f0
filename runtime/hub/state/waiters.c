#include "hub/state/waiters.h"

#include "base/check.h"
#include "hub/state/ready.h"

struct ml_waiter *ml_first_waiter(struct ml_hub *hub, struct ml_link *queue)
{
    while (!ml_list_is_empty(queue)) {
        struct ml_waiter *waiter = ml_container_of(queue->next, struct ml_waiter, link);
        if (ml_likely(ml_waiter_task(hub, waiter)->state == ML_TASK_WAITING))
            return waiter;
        ml_list_remove(&waiter->link);
    }
    return NULL;
}

void ml_waiter_grant(struct ml_hub *hub, struct ml_waiter *waiter)
{
    struct ml_task *task = ml_waiter_task(hub, waiter);
    task->granted = waiter->index;
    if (waiter != &task->waiter)
        ml_list_remove(&waiter->link);
    ml_task_wake(task, ML_WAKE_EVENT);
}

bool ml_wake_first(struct ml_hub *hub, struct ml_link *queue)
{
    struct ml_waiter *waiter = ml_first_waiter(hub, queue);
    if (waiter == NULL)
        return false;
    ml_waiter_grant(hub, waiter);
    return true;
}

void ml_wake_all(struct ml_hub *hub, struct ml_link *queue)
{
    while (ml_wake_first(hub, queue))
        ;
}

void ml_turn_all_away(struct ml_hub *hub, struct ml_link *queue)
{
    struct ml_waiter *waiter;
    while ((waiter = ml_first_waiter(hub, queue)) != NULL) {
        waiter->value = ML_WAITER_CLOSED;
        ml_waiter_grant(hub, waiter);
    }
}
