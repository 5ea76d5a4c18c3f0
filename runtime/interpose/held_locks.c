#include "interpose/held_locks.h"

#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"
#include "interpose/libc_call.h"

#include <errno.h>
#include <stdlib.h>

const struct ml_wait_kind ml_lock_kind = {.text = "a lock of a C library held by task",
                                          .target = ML_TARGET_TASK};

static struct ml_held_lock **bucket_of(struct ml_libc_calls *calls, const void *lock)
{
    return &calls->held_locks.buckets[((uintptr_t)lock >> 4) * 2654435761U % ML_HELD_BUCKETS];
}

/* Removes the entry that *place points to. */
static void strike_at(struct ml_libc_calls *calls, struct ml_held_lock **place)
{
    struct ml_held_lock *held = *place;
    *place = held->next;
    held->next = calls->held_locks.spare;
    calls->held_locks.spare = held;
    calls->held_locks.count--;
}

/* The id of another task that holds the lock against `way`; 0: none. A task that ended with the
 * lock has left it to the next one. */
static uint64_t holder_of(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way)
{
    uint64_t holder = 0, self = calls->hub->current->id;
    struct ml_held_lock **place = bucket_of(calls, lock);
    while (*place != NULL && holder == 0) {
        const struct ml_held_lock *held = *place;
        bool is_anothers = held->lock == lock && held->task != self;
        if (is_anothers && ml_hub_task(calls->hub, held->slot, held->task) == NULL) {
            strike_at(calls, place);
        } else {
            bool is_against = way == ML_LOCK_WHOLE || held->way == ML_LOCK_WHOLE;
            holder = is_anothers && is_against ? held->task : 0;
            place = &(*place)->next;
        }
    }
    return holder;
}

bool ml_locks_are_held(const struct ml_libc_calls *calls)
{
    uint64_t self = calls->hub->current->id;
    for (int i = 0; i < ML_HELD_BUCKETS && calls->held_locks.count > 0; i++)
        for (const struct ml_held_lock *held = calls->held_locks.buckets[i]; held != NULL;
             held = held->next)
            if (held->task == self)
                return true;
    return false;
}

int ml_lock_wait(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way,
                 ml_time deadline)
{
    struct ml_hub *hub = calls->hub;
    if (holder_of(calls, lock, way) == 0)
        return 0;
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    if (ml_libc_call_begin(calls, calls->entry) != 0)
        return -EDEADLK;
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
    int error = shield != NULL ? 0 : -EDEADLK;
    uint64_t holder;
    while (error == 0 && (holder = holder_of(calls, lock, way)) != 0)
        error = ml_wait(hub, &ml_lock_kind, (uint32_t)holder, &calls->held_locks.waiters, deadline);
    if (shield != NULL)
        ml_scope_close(hub, shield);
    ml_libc_call_end(calls, error);
    return error;
}

void ml_lock_note(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way)
{
    struct ml_held_lock *held = calls->held_locks.spare;
    if (held != NULL)
        calls->held_locks.spare = held->next;
    else
        held = malloc(sizeof *held);
    if (held == NULL)
        return;
    const struct ml_task *task = calls->hub->current;
    struct ml_held_lock **bucket = bucket_of(calls, lock);
    *held = (struct ml_held_lock){*bucket, lock, task->id, task->waiter.slot, way};
    *bucket = held;
    calls->held_locks.count++;
}

/* The latest entry of the lock: of the running task or, with `by_anybody`, of any task. *place is
 * NULL: there is none. */
static struct ml_held_lock **place_of(struct ml_libc_calls *calls, const void *lock,
                                      bool by_anybody)
{
    uint64_t self = calls->hub->current->id;
    struct ml_held_lock **place = bucket_of(calls, lock);
    while (*place != NULL && ((*place)->lock != lock || !(by_anybody || (*place)->task == self)))
        place = &(*place)->next;
    return place;
}

void ml_lock_strike(struct ml_libc_calls *calls, const void *lock)
{
    struct ml_held_lock **place = place_of(calls, lock, false);
    if (*place == NULL)
        place = place_of(calls, lock, true);
    if (*place == NULL)
        return;
    strike_at(calls, place);
    if (ml_unlikely(!ml_list_is_empty(&calls->held_locks.waiters)))
        ml_wake_all(calls->hub, &calls->held_locks.waiters);
}

struct ml_task *ml_lock_holder(const struct ml_libc_calls *calls, uint32_t number)
{
    struct ml_task *task = NULL;
    for (unsigned i = 0; i < ML_HELD_BUCKETS && task == NULL; i++)
        for (const struct ml_held_lock *held = calls->held_locks.buckets[i];
             held != NULL && task == NULL; held = held->next)
            if ((uint32_t)held->task == number)
                task = ml_hub_task(calls->hub, held->slot, held->task);
    return task;
}

void ml_locks_init(struct ml_libc_calls *calls)
{
    ml_list_init(&calls->held_locks.waiters);
}

static void free_all(struct ml_held_lock *held)
{
    while (held != NULL) {
        struct ml_held_lock *next = held->next;
        free(held);
        held = next;
    }
}

void ml_locks_release(struct ml_libc_calls *calls)
{
    free_all(calls->held_locks.spare);
    for (unsigned i = 0; i < ML_HELD_BUCKETS; i++)
        free_all(calls->held_locks.buckets[i]);
}
