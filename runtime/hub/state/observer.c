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

/* noinline: each byte of a frame on the way to a wait is paid once per task. */
__attribute__((noinline)) void ml_observers_tell(struct ml_hub *hub, struct ml_task *task,
                                                 enum ml_task_event event)
{
    struct ml_observer *next;
    for (struct ml_observer *observer = hub->observers; observer != NULL; observer = next) {
        next = observer->next;
        observer->on_event(observer, task, event);
    }
}
