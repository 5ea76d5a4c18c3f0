/*
 * The event loop of a hub: a libev loop of its own, never the default one, which reaps all children
 * of the process. Waits for descriptors, for an absolute time, or for a notice from another thread.
 * Knows no task.
 */
#ifndef ML_HUB_LOOP_POLLER_H
#define ML_HUB_LOOP_POLLER_H

#include "base/clock.h"

#include <stdbool.h>

struct ev_loop;
struct ml_poller;

/* NULL when the system has no room for it (errno says why). */
struct ml_poller *ml_poller_open(void);
void ml_poller_close(struct ml_poller *poller);

/* For watchers of descriptors (hub/on/fd.h). */
struct ev_loop *ml_poller_loop(struct ml_poller *poller);

/* Calls back the watchers of all descriptors that are ready. Waits for the first of them for `span`
 * at most; 0: not at all, ML_FOREVER: without limit. True if ml_poller_notify() was called since
 * the last poll. */
bool ml_poller_poll(struct ml_poller *poller, ml_time span);

/* A descriptor, the poller's, that is readable when a poll would call a watcher back, or when the
 * alarm rings. -1 with errno set: the system has no room for it. */
int ml_poller_descriptor(struct ml_poller *poller);

/* Whether ml_poller_descriptor() was called. */
bool ml_poller_has_descriptor(const struct ml_poller *poller);

/* Makes the descriptor, which exists, watch the loop again: libev may have replaced the loop's own.
 * May poll. */
void ml_poller_refresh(struct ml_poller *poller);

/* Sets when the descriptor's alarm rings, by the monotonic clock; ML_NEVER_WAIT: now; ML_FOREVER:
 * never. One system call if that is a change. */
void ml_poller_set_alarm(struct ml_poller *poller, ml_time at);

/* Ends the poll under way, or the next one, at once. From any thread and from signal handlers. */
void ml_poller_notify(struct ml_poller *poller);

#endif
