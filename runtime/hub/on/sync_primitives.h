/*
 * Synchronisation between tasks: semaphore, mutex, event. Each serves waiters in the order in which
 * they came, by a grant to the first: no task can overtake, and a wait that ended otherwise has
 * taken nothing. Knows nothing of what is protected.
 */
#ifndef ML_HUB_ON_SYNC_PRIMITIVES_H
#define ML_HUB_ON_SYNC_PRIMITIVES_H

#include "hub/wait/wait.h"

struct ml_semaphore {
    struct ml_link waiters;
    int64_t permits;
    bool is_closed;
};

void ml_semaphore_init(struct ml_semaphore *semaphore, int64_t permits);

/* Takes a permit if there is one. */
static inline bool ml_semaphore_try(struct ml_semaphore *semaphore)
{
    bool is_there = semaphore->permits > 0;
    semaphore->permits -= is_there;
    return is_there;
}

/* To be called when there is no permit. 0: the running task has one; -ML_ECLOSED; or an error of
 * ml_wait(). */
int ml_semaphore_wait(struct ml_hub *hub, struct ml_semaphore *semaphore, ml_time deadline);

/* Gives a permit back; none is added beyond the largest number. Never waits. */
void ml_semaphore_release(struct ml_hub *hub, struct ml_semaphore *semaphore);

/* Gives `count` permits, which is not negative: to the tasks that wait, and the rest to the
 * semaphore. Takes time for each task that gets one. 0, or -EOVERFLOW with nothing done: the sum is
 * too large. Never waits. */
int ml_semaphore_add(struct ml_hub *hub, struct ml_semaphore *semaphore, int64_t count);

/* From now on tasks that wait, or that come when there is no permit left, get -ML_ECLOSED. */
void ml_semaphore_close(struct ml_hub *hub, struct ml_semaphore *semaphore);

struct ml_mutex {
    struct ml_link waiters;
    struct ml_link link;   /* in hub->sync.locked */
    struct ml_task *owner; /* NULL: free */
};

/* The wait for one: the task waits in its waiters. */
extern const struct ml_wait_kind ml_mutex_kind;

void ml_mutex_init(struct ml_mutex *mutex);

/* Locks it if it is free. */
bool ml_mutex_try(struct ml_hub *hub, struct ml_mutex *mutex);

/* To be called when another task owns it. 0: the running task owns it now; or an error of
 * ml_wait(). */
int ml_mutex_wait(struct ml_hub *hub, struct ml_mutex *mutex, ml_time deadline);

/* The owner gives it up, to the first waiter if there is one. Never waits. */
void ml_mutex_unlock(struct ml_hub *hub, struct ml_mutex *mutex);

/* A mutex that the task holds; NULL: none. */
struct ml_mutex *ml_mutex_held_by(struct ml_hub *hub, const struct ml_task *task);

struct ml_event {
    struct ml_link waiters;
    bool is_set;
};

void ml_event_init(struct ml_event *event);

/* Lets all waiters go on, even if the event is cleared before they run. */
void ml_event_set(struct ml_hub *hub, struct ml_event *event);

/* To be called when it is not set. 0: it was set meanwhile; or an error of ml_wait(). */
int ml_event_wait(struct ml_hub *hub, struct ml_event *event, ml_time deadline);

#endif
