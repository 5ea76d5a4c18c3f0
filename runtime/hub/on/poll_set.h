/*
 * A wait for any of several descriptors, or for none, as C libraries wait: watchers are set anew
 * for each call, for any descriptor of the process. Knows which may have become ready; the caller
 * asks the kernel which are.
 *
 * A set lies on the heap while its task is parked. Only the hub's list of sets holds its address.
 */
#ifndef ML_HUB_ON_POLL_SET_H
#define ML_HUB_ON_POLL_SET_H

#include "hub/wait/wait.h"

struct ml_poll_set;

/* A set with room for `count` descriptors; 0: it only waits for time. NULL: no memory. */
struct ml_poll_set *ml_poll_set_open(struct ml_hub *hub, unsigned count);

/* Adds a descriptor, at most `count` times; negative numbers are left out. A bad one counts as
 * ready; the same one may be added twice. Cost: one epoll_ctl each, at the next poll. */
void ml_poll_set_add(struct ml_poll_set *set, int fd, bool readable, bool writable);

/*
 * Parks the running task; once for a set.
 *
 * - 0: look, something may have happened;
 * - -EBADF: one of the descriptors was closed meanwhile. Its number may stand for another file by
 *   now;
 * - -EINTR: ml_poll_sets_interrupt() was called;
 * - -ETIMEDOUT, -ECANCELED, -ENOMEM as ml_wait().
 */
int ml_poll_set_wait(struct ml_poll_set *set, const struct ml_wait_kind *kind, ml_time deadline);

/* The descriptor that was closed meanwhile; -1: none was. */
int ml_poll_set_closed(const struct ml_poll_set *set);

/* Stops and frees; NULL is allowed. */
void ml_poll_set_close(struct ml_poll_set *set);

/* ---- for all sets of a hub; none of these switches ---- */

/* To be called before `fd` is closed: wakes the tasks that wait for it. */
void ml_poll_sets_forget(struct ml_hub *hub, int fd);

/* A signal's handler has run: wakes all tasks that wait with -EINTR. */
void ml_poll_sets_interrupt(struct ml_hub *hub);

#endif
