/*
 * What the kernel reported for one watch, as it came and not yet applied. Bounded: what does not
 * fit is lost, and the watch is told so. Knows neither paths nor the descriptor.
 */
#ifndef ML_SYSTEM_FILE_WATCH_INBOX_H
#define ML_SYSTEM_FILE_WATCH_INBOX_H

#include "base/clock.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inotify_event;

/* The most bytes of notes that wait for one watch; then they are dropped, as the kernel does at
 * fs.inotify.max_queued_events. */
enum { ML_WATCH_INBOX_MOST = 8 * 1024 * 1024 };

/* One event of inotify(7). */
struct ml_watch_note {
    struct ml_link link;
    ml_time read_at;    /* by the hub's clock */
    ml_time drained_at; /* it happened later than this */
    int wd;
    uint32_t mask;
    uint32_t cookie;
    size_t size; /* of the name */
    char name[]; /* with a zero; "" for the directory itself */
};

struct ml_watch_inbox {
    struct ml_link link; /* among the source's */
    struct ml_link notes;
    size_t bytes;
    size_t most;            /* ML_WATCH_INBOX_MOST */
    uint64_t number;        /* of the last event of the source that was put in */
    bool is_lost;           /* notes were dropped */
    struct ml_link waiters; /* granted when a note has come */
};

/* An empty one, in no list. */
void ml_watch_inbox_init(struct ml_watch_inbox *inbox);

/* Puts an event in, unless it says the same as the one before it. 0; -ENOMEM: it is lost, with all
 * that waited. */
int ml_watch_note_put(struct ml_watch_inbox *inbox, const struct inotify_event *event,
                      ml_time read_at, ml_time drained_at);

/* The first note; NULL: the inbox is empty. */
struct ml_watch_note *ml_watch_note_first(const struct ml_watch_inbox *inbox);

/* The note behind one; NULL: it is the last. */
struct ml_watch_note *ml_watch_note_next(const struct ml_watch_inbox *inbox,
                                         const struct ml_watch_note *note);

void ml_watch_note_drop(struct ml_watch_inbox *inbox, struct ml_watch_note *note);

void ml_watch_notes_drop_all(struct ml_watch_inbox *inbox);

#endif
