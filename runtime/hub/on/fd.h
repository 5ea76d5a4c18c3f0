/*
 * Waits for a descriptor: one reader and one writer at a time. A watcher stays registered between
 * waits, and is stopped only when it fires while no task waits, so that a ping-pong never calls
 * epoll_ctl. Knows nothing of what is read or written.
 */
#ifndef ML_HUB_ON_FD_H
#define ML_HUB_ON_FD_H

#include "hub/loop/libev.h"
#include "hub/wait/wait.h"

enum ml_fd_event { ML_FD_READ, ML_FD_WRITE };

struct ml_fd_side {
    ev_io watcher;
    struct ml_task *waiter;
};

struct ml_fd {
    int number; /* -1: closed */
    struct ml_hub *hub;
    struct ml_fd_side sides[2]; /* indexed by enum ml_fd_event */
};

/* A closed one. */
void ml_fd_init(struct ml_fd *fd, struct ml_hub *hub);

/* Takes over a non-blocking descriptor. */
void ml_fd_open(struct ml_fd *fd, int number);

static inline bool ml_fd_is_open(const struct ml_fd *fd)
{
    return fd->number >= 0;
}

/* Closes the descriptor and wakes its waiters, whose ml_fd_wait() returns -ML_ECLOSED. Harmless on
 * a closed one. Never waits. */
void ml_fd_close(struct ml_fd *fd);

/* Detaches the descriptor of an open one, which is returned and stays open; otherwise does as
 * ml_fd_close(). */
int ml_fd_detach(struct ml_fd *fd);

/*
 * Parks the running task until the descriptor may be ready.
 *
 * - 0: try again;
 * - -ML_ECLOSED: it is closed, or was closed meanwhile;
 * - -EBUSY: another task waits for the same event;
 * - -ETIMEDOUT, -ECANCELED, -ENOMEM as ml_wait().
 */
int ml_fd_wait(struct ml_fd *fd, enum ml_fd_event event, const struct ml_wait_kind *kind,
               ml_time deadline);

/*
 * For a wait for several things (hub/state/choice.h): until ml_fd_unwatch() the running task is
 * woken when the descriptor may be ready, or is closed. 0, also if the same task watches it
 * already; -ML_ECLOSED; -EBUSY. Never waits.
 */
int ml_fd_watch(struct ml_fd *fd, enum ml_fd_event event);

/* Ends the running task's ml_fd_watch(). Harmless on a closed one. */
void ml_fd_unwatch(struct ml_fd *fd);

#endif
