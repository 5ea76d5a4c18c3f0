#include "hub/on/sync_primitives.h"

#include "base/error.h"
#include "hub/state/waiters.h"

#include <errno.h>
#include <stddef.h>

static const struct ml_wait_kind semaphore_kind = {.text = "a semaphore"};
const struct ml_wait_kind ml_mutex_kind = {.text = "a mutex held by task",
                                           .target = ML_TARGET_TASK};
static const struct ml_wait_kind event_kind = {.text = "an event"};

/* ---- semaphore ---- */

void ml_semaphore_init(struct ml_semaphore *semaphore, int64_t permits)
{
    ml_list_init(&semaphore->waiters);
    semaphore->permits = permits;
    semaphore->is_closed = false;
}

int ml_semaphore_wait(struct ml_hub *hub, struct ml_semaphore *semaphore, ml_time deadline)
{
    if (semaphore->is_closed)
        return -ML_ECLOSED;
    int error = ml_wait_granted(hub, &semaphore_kind, 0, &semaphore->waiters, 0, deadline);
    return error == 0 && hub->current->waiter.value == ML_WAITER_CLOSED ? -ML_ECLOSED : error;
}

void ml_semaphore_release(struct ml_hub *hub, struct ml_semaphore *semaphore)
{
    if (!ml_wake_first(hub, &semaphore->waiters) && semaphore->permits < INT64_MAX)
        semaphore->permits++;
}

int ml_semaphore_add(struct ml_hub *hub, struct ml_semaphore *semaphore, int64_t count)
{
    if (semaphore->permits > INT64_MAX - count)
        return -EOVERFLOW;
    while (count > 0 && ml_wake_first(hub, &semaphore->waiters))
        count--;
    semaphore->permits += count;
    return 0;
}

void ml_semaphore_close(struct ml_hub *hub, struct ml_semaphore *semaphore)
{
    semaphore->is_closed = true;
    ml_turn_all_away(hub, &semaphore->waiters);
}

/* ---- mutex ---- */

void ml_mutex_init(struct ml_mutex *mutex)
{
    *mutex = (struct ml_mutex){0};
    ml_list_init(&mutex->waiters);
}

static void own(struct ml_hub *hub, struct ml_mutex *mutex, struct ml_task *task)
{
    mutex->owner = task;
    task->held++;
    ml_list_insert(&hub->sync.locked, &mutex->link);
}

static void disown(struct ml_mutex *mutex)
{
    mutex->owner->held--;
    mutex->owner = NULL;
    ml_list_remove(&mutex->link);
}

bool ml_mutex_try(struct ml_hub *hub, struct ml_mutex *mutex)
{
    if (mutex->owner != NULL)
        return false;
    own(hub, mutex, hub->current);
    return true;
}

int ml_mutex_wait(struct ml_hub *hub, struct ml_mutex *mutex, ml_time deadline)
{
    uint32_t owner = (uint32_t)mutex->owner->id;
    return ml_wait_granted(hub, &ml_mutex_kind, owner, &mutex->waiters, 0, deadline);
}

void ml_mutex_unlock(struct ml_hub *hub, struct ml_mutex *mutex)
{
    disown(mutex);
    struct ml_waiter *next = ml_first_waiter(hub, &mutex->waiters);
    if (next == NULL)
        return;
    own(hub, mutex, ml_waiter_task(hub, next));
    ml_waiter_grant(hub, next);
}

struct ml_mutex *ml_mutex_held_by(struct ml_hub *hub, const struct ml_task *task)
{
    if (task->held == 0)
        return NULL;
    struct ml_link *link = hub->sync.locked.next;
    while (ml_container_of(link, struct ml_mutex, link)->owner != task)
        link = link->next;
    return ml_container_of(link, struct ml_mutex, link);
}

/* ---- event ---- */

void ml_event_init(struct ml_event *event)
{
    ml_list_init(&event->waiters);
    event->is_set = false;
}

void ml_event_set(struct ml_hub *hub, struct ml_event *event)
{
    event->is_set = true;
    ml_wake_all(hub, &event->waiters);
}

int ml_event_wait(struct ml_hub *hub, struct ml_event *event, ml_time deadline)
{
    return ml_wait_granted(hub, &event_kind, 0, &event->waiters, 0, deadline);
}
