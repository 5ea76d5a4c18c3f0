/*
 * What tasks agree on among themselves: semaphore, mutex, event. Each serves those who wait in the
 * order in which they came, by giving to the first what it waits for: nobody can overtake, and a
 * wait that ended otherwise has taken nothing. Knows nothing of what is being protected.
 */
#ifndef ML_HUB_ON_PRIMITIVES_H
#define ML_HUB_ON_PRIMITIVES_H

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

/* 0: it has a permit; -ML_ECLOSED; or an error of ml_wait(). There was none to be had at once. */
int ml_semaphore_wait(struct ml_hub *hub, struct ml_semaphore *semaphore, ml_time deadline);

/* Gives a permit back; beyond the largest number there is, none is added. Never waits. */
void ml_semaphore_release(struct ml_hub *hub, struct ml_semaphore *semaphore);

/* Gives `count` permits, which is not negative: to the tasks that wait, and the rest to the
 * semaphore. Costs as much as there are tasks that get one. 0, or -EOVERFLOW with nothing done: the
 * sum is no number. Never waits. */
int ml_semaphore_add(struct ml_hub *hub, struct ml_semaphore *semaphore, int64_t count);

/* Whoever waits, or comes when there is no permit left, gets -ML_ECLOSED from now on. */
void ml_semaphore_close(struct ml_hub *hub, struct ml_semaphore *semaphore);

struct ml_mutex {
    struct ml_link waiters;
    struct ml_link link;   /* in hub->sync.locked */
    struct ml_task *owner; /* NULL: free */
};

void ml_mutex_init(struct ml_mutex *mutex);

/* Locks it if it is free. */
bool ml_mutex_try(struct ml_hub *hub, struct ml_mutex *mutex);

/* 0: the running task owns it; or an error of ml_wait(). Another task did. */
int ml_mutex_wait(struct ml_hub *hub, struct ml_mutex *mutex, ml_time deadline);

/* Its owner gives it up: the first who waits owns it. Never waits. */
void ml_mutex_unlock(struct ml_hub *hub, struct ml_mutex *mutex);

/* A mutex that the task holds, NULL: none. */
struct ml_mutex *ml_mutex_held_by(struct ml_hub *hub, const struct ml_task *task);

/* Has all that wait for a mutex name the task that holds it now, for people: it may be another than
 * when they came. */
void ml_mutex_note_owners(struct ml_hub *hub);

struct ml_event {
    struct ml_link waiters;
    bool is_set;
};

void ml_event_init(struct ml_event *event);

/* All who wait go on, even if it is cleared before they run. */
void ml_event_set(struct ml_hub *hub, struct ml_event *event);

/* 0: it was set; or an error of ml_wait(). It was not set when the caller came. */
int ml_event_wait(struct ml_hub *hub, struct ml_event *event, ml_time deadline);

#endif
