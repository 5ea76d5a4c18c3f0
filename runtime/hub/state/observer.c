#include "hub/state/observer.h"

void ml_observer_add(struct ml_hub *hub, struct ml_observer *observer)
{
    observer->next = hub->observers;
    hub->observers = observer;
}

void ml_observer_remove(struct ml_hub *hub, struct ml_observer *observer)
{
    struct ml_observer **place = &hub->observers;
    while (*place != NULL && *place != observer)
        place = &(*place)->next;
    if (*place != NULL)
        *place = observer->next;
}

static __attribute__((noinline)) void tell_all(struct ml_observer *observer, struct ml_task *task,
                                               enum ml_task_event event)
{
    while (observer != NULL) {
        struct ml_observer *next = observer->next;
        observer->on_event(observer, task, event);
        observer = next;
    }
}

/* noinline: each byte of a frame on the way to a wait is paid once per task. To a lone observer
 * this is a jump, without a frame of its own. */
__attribute__((noinline)) void ml_observers_tell(struct ml_hub *hub, struct ml_task *task,
                                                 enum ml_task_event event)
{
    struct ml_observer *observer = hub->observers;
    if (ml_likely(observer->next == NULL))
        observer->on_event(observer, task, event);
    else
        tell_all(observer, task, event);
}
