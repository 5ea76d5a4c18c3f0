/*
 * Watches a directory with all below, or without, or a file. The watch keeps a picture of the tree,
 * and every event is a difference between the picture and what the kernel reported or a listing
 * showed. So a reader that applies all events has the picture, too, whatever was lost or came
 * twice. Work is done when the reader asks for an event, never before.
 *
 * Events are bounded by a batch, the kernel's notes by ML_WATCH_INBOX_MOST; the picture is as large
 * as the tree.
 */
#ifndef ML_SYSTEM_FILE_WATCH_H
#define ML_SYSTEM_FILE_WATCH_H

#include "hub/wait/wait.h"
#include "system/file/watch_state.h"

/* A closed one. */
void ml_file_watch_init(struct ml_file_watch *w);

/*
 * Watches the file or directory at `path`; a link there is followed. Waits until every directory
 * is watched and listed (initial: until the root is watched).
 *
 * - 0;
 * - an error of opening the root: -ENOENT, -EACCES, ...;
 * - -ENOSPC: the user has too many watches;
 * - an error of ml_watch_source_join(), ml_wait(), ml_offload().
 *
 * With an error it is closed.
 */
int ml_file_watch_open(struct ml_file_watch *w, struct ml_watch_source *source, const char *path,
                       const struct ml_file_watch_options *options);

/* Closes; the task that waits in ml_file_watch_next() gets -ML_ECLOSED. Idempotent, never waits. */
void ml_file_watch_close(struct ml_file_watch *w);

static inline bool ml_file_watch_is_open(const struct ml_file_watch *w)
{
    return w->source != NULL;
}

/*
 * Waits for an event, which stays the watch's until ml_file_watch_drop().
 *
 * - 0;
 * - -ML_ECLOSED;
 * - -ENOENT, -ENODEV: the root is gone (w->end), and nothing more will come;
 * - -ENOSPC: the user has too many watches: a directory is not watched. Later calls go on;
 * - -ENOMEM, -EMFILE, ...: a directory could not be listed; the next call tries again;
 * - -EBUSY: another task waits here;
 * - an error of ml_wait().
 */
int ml_file_watch_next(struct ml_file_watch *w, const struct ml_watch_event **event,
                       ml_time deadline);

/* Frees the event that ml_file_watch_next() gave, by its serial number; no task has waited in
 * between. False: it is gone already, since a finalizer has read or closed the watch. */
bool ml_file_watch_drop(struct ml_file_watch *w, uint64_t serial);

/* Whether ml_file_watch_next() would not wait: 0; -EAGAIN: it would. Never waits. */
int ml_file_watch_look(struct ml_file_watch *w);

/* After -EAGAIN: has the waiter granted when there may be an event, and *again set to a time at
 * which to look in any case if that is earlier. For hub/state/choice.h. 0; or an error: look at
 * once. */
int ml_file_watch_enter(struct ml_file_watch *w, struct ml_waiter *waiter, ml_time *again);

#endif
