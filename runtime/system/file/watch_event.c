#include "system/file/watch_event.h"

#include "base/check.h"

#include <stdlib.h>

void ml_watch_events_init(struct ml_watch_events *events)
{
    *events = (struct ml_watch_events){0};
    ml_list_init(&events->queue);
}

void ml_watch_events_release(struct ml_watch_events *events)
{
    while (events->count > 0)
        ml_watch_events_drop(events);
}

struct ml_watch_event *ml_watch_event_new(enum ml_watch_kind kind, size_t path_size,
                                          size_t from_size)
{
    struct ml_watch_event *event = malloc(sizeof *event + path_size + from_size + 2);
    if (event == NULL)
        return NULL;
    *event = (struct ml_watch_event){.kind = kind, .path_size = path_size, .from_size = from_size};
    event->path[path_size] = '\0';
    event->path[path_size + 1 + from_size] = '\0';
    return event;
}

uint64_t ml_watch_events_put(struct ml_watch_events *events, struct ml_watch_event *event)
{
    ml_list_insert(&events->queue, &event->link);
    events->count++;
    event->serial = ++events->serial;
    return event->serial;
}

struct ml_watch_event *ml_watch_events_first(const struct ml_watch_events *events)
{
    return ml_list_is_empty(&events->queue)
               ? NULL
               : ml_container_of(events->queue.next, struct ml_watch_event, link);
}

void ml_watch_events_drop(struct ml_watch_events *events)
{
    struct ml_watch_event *event = ml_watch_events_first(events);
    ml_list_remove(&event->link);
    events->count--;
    events->delivered = event->serial;
    free(event);
}
