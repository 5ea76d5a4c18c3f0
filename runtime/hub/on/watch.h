/*
 * A descriptor watched with a callback instead of a task, for libraries that bring their own state
 * machine (c-ares). The callback runs on the hub: it may wake tasks, never wait.
 */
#ifndef ML_HUB_ON_WATCH_H
#define ML_HUB_ON_WATCH_H

#include "base/check.h"
#include "hub/state/hub.h"

struct ml_watch;

/* Called when `fd` is readable or writable or both. */
typedef void ml_watch_callback(void *data, int fd, bool readable, bool writable);

/* Watches for the given events; NULL: no memory. */
struct ml_watch *ml_watch_open(struct ml_hub *hub, int fd, ml_watch_callback *callback, void *data);

/* Changes the events; both false: none for now. */
void ml_watch_set(struct ml_watch *watch, bool readable, bool writable);

/* Stops and frees; to be called before the descriptor is closed. NULL is allowed. */
void ml_watch_close(struct ml_watch *watch);

#endif
