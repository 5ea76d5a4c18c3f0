/*
 * Locks that C libraries take in tasks. To libc a lock belongs to a thread, and all tasks of a hub
 * are one thread. While a task that holds a lock waits, another task could take it a second time (a
 * recursive mutex, a FILE), or block the thread on it for ever. So the room writes down what each
 * task holds, and a task that wants a lock of another task of its thread waits until that one lets
 * go. Locks inside libc are not seen.
 */
#ifndef ML_INTERPOSE_HELD_LOCKS_H
#define ML_INTERPOSE_HELD_LOCKS_H

#include "interpose/state.h"

enum ml_lock_way { ML_LOCK_WHOLE, ML_LOCK_SHARED };

struct ml_held_lock {
    struct ml_held_lock *next; /* in its bucket, the latest first */
    const void *lock;          /* its address */
    uint64_t task;             /* number of its holder */
    uint32_t slot;
    enum ml_lock_way way;
};

/* The wait for one; task->waits_on is the number of a task that holds it. */
extern const struct ml_wait_kind ml_lock_kind;

/* The task of that number, if it holds a lock; NULL: it has ended, or holds none. */
struct ml_task *ml_lock_holder(const struct ml_libc_calls *calls, uint32_t number);

/* Call before the first lock. */
void ml_locks_init(struct ml_libc_calls *calls);

/* The slow part of ml_lock_await(). */
int ml_lock_wait(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way,
                 ml_time deadline);

/*
 * Waits until no other task of the hub holds the lock against `way`. Cancellation does not end the
 * wait: callers cannot handle that.
 *
 * - 0: no other task holds it;
 * - -ETIMEDOUT: the deadline has passed (at once with ML_NEVER_WAIT);
 * - -EDEADLK: the task may not wait here.
 */
static inline int ml_lock_await(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way,
                                ml_time deadline)
{
    return ml_likely(calls->held_locks.count == 0) ? 0 : ml_lock_wait(calls, lock, way, deadline);
}

/* The running task holds the lock. Never fails: without memory for the entry, the lock is not
 * remembered. */
void ml_lock_note(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way);

/* The running task let go of the lock: its own, or one that another task locked, as libc allows for
 * plain mutexes. Tasks that wait for it look again. */
void ml_lock_strike(struct ml_libc_calls *calls, const void *lock);

/* Whether the running task holds a lock. */
bool ml_locks_are_held(const struct ml_libc_calls *calls);

/* Forgets all entries; no task is left. */
void ml_locks_release(struct ml_libc_calls *calls);

#endif
