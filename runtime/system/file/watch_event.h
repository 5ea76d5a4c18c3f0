/*
 * Events as the reader of a watch gets them, and the queue in which they wait. An event owns its
 * paths. Knows no directory.
 */
#ifndef ML_SYSTEM_FILE_WATCH_EVENT_H
#define ML_SYSTEM_FILE_WATCH_EVENT_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ml_watch_kind {
    ML_WATCH_CREATED,
    ML_WATCH_CHANGED,
    ML_WATCH_REMOVED,
    ML_WATCH_RENAMED,
    ML_WATCH_OVERFLOW
};

struct ml_watch_event {
    struct ml_link link;
    uint64_t serial; /* counts the events of a watch from 1 */
    enum ml_watch_kind kind;
    bool is_directory;
    size_t path_size;
    size_t from_size; /* 0, except for a renamed one */
    char path[];      /* path_size bytes and a zero, then from_size bytes and a zero */
};

static inline const char *ml_watch_event_from(const struct ml_watch_event *event)
{
    return event->path + event->path_size + 1;
}

struct ml_watch_events {
    struct ml_link queue;
    uint32_t count;
    uint64_t serial;    /* of the last that was put in */
    uint64_t delivered; /* of the last that was dropped */
};

void ml_watch_events_init(struct ml_watch_events *events);

/* Frees all that wait. */
void ml_watch_events_release(struct ml_watch_events *events);

/* A new event with room for its paths, which stands in no queue yet. NULL: no memory. */
struct ml_watch_event *ml_watch_event_new(enum ml_watch_kind kind, size_t path_size,
                                          size_t from_size);

/* Puts one at the end, and gives it its serial number, which is returned. */
uint64_t ml_watch_events_put(struct ml_watch_events *events, struct ml_watch_event *event);

/* The first; NULL: there is none. */
struct ml_watch_event *ml_watch_events_first(const struct ml_watch_events *events);

/* Frees the first. */
void ml_watch_events_drop(struct ml_watch_events *events);

#endif
