/* Calls that take and free locks, and calls inside which a task may not wait. */
#include "interpose/held_locks.h"
#include "interpose/no_wait.h"
#include "interpose/stdio_file.h"
#include "interpose/timespan.h"

#include <errno.h>

/* The last two steps of each call that takes a lock. */
static int noted(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way, int error)
{
    if (ml_likely(error == 0 || error == EOWNERDEAD))
        ml_lock_note(calls, lock, way);
    return error;
}

/* The last two steps of each call that lets go of a lock. */
static int struck(struct ml_libc_calls *calls, const void *lock, int error)
{
    if (ml_likely(error == 0))
        ml_lock_strike(calls, lock);
    return error;
}

static int await(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way)
{
    return -ml_lock_await(calls, lock, way, ML_FOREVER);
}

static bool is_free(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way)
{
    return ml_lock_await(calls, lock, way, ML_NEVER_WAIT) == 0;
}

/* Where the task may not wait, as in a finalizer, it enters a lock that its thread may enter again:
 * the finalizer nests in the interrupted call of its thread, as it does without tasks. An error
 * would be worse: few callers check the result, and they would then let go of another's lock. */
int ml_co_pthread_mutex_lock(struct ml_libc_calls *calls, pthread_mutex_t *mutex)
{
    int error = await(calls, mutex, ML_LOCK_WHOLE);
    if (ml_unlikely(error == EDEADLK) && ml_libc.pthread_mutex_trylock(mutex) == 0)
        return noted(calls, mutex, ML_LOCK_WHOLE, 0);
    return error != 0 ? error
                      : noted(calls, mutex, ML_LOCK_WHOLE, ml_libc.pthread_mutex_lock(mutex));
}

/* As await(), until a time of that clock. libc reports a bad clock or time. */
static int await_until(struct ml_libc_calls *calls, const void *lock, enum ml_lock_way way,
                       clockid_t clock, const struct timespec *until)
{
    struct timespec now;
    if (ml_likely(calls->held_locks.count == 0) || until->tv_nsec < 0 ||
        until->tv_nsec >= ML_SECOND || clock_gettime(clock, &now) != 0)
        return 0;
    ml_time left = ml_time_between(ml_timespan(&now), ml_timespan(until));
    ml_time deadline = left > 0 ? ml_time_after(ml_hub_now(calls->hub), left) : ML_NEVER_WAIT;
    return -ml_lock_await(calls, lock, way, deadline);
}

int ml_co_pthread_mutex_clocklock(struct ml_libc_calls *calls, pthread_mutex_t *mutex,
                                  clockid_t clock, const struct timespec *until)
{
    int error = await_until(calls, mutex, ML_LOCK_WHOLE, clock, until);
    return error != 0 ? error
                      : noted(calls, mutex, ML_LOCK_WHOLE,
                              ml_libc.pthread_mutex_clocklock(mutex, clock, until));
}

int ml_co_pthread_mutex_timedlock(struct ml_libc_calls *calls, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    return ml_co_pthread_mutex_clocklock(calls, mutex, CLOCK_REALTIME, until);
}

int ml_co_pthread_rwlock_clockrdlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock,
                                     clockid_t clock, const struct timespec *until)
{
    int error = await_until(calls, lock, ML_LOCK_SHARED, clock, until);
    return error != 0 ? error
                      : noted(calls, lock, ML_LOCK_SHARED,
                              ml_libc.pthread_rwlock_clockrdlock(lock, clock, until));
}

int ml_co_pthread_rwlock_clockwrlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock,
                                     clockid_t clock, const struct timespec *until)
{
    int error = await_until(calls, lock, ML_LOCK_WHOLE, clock, until);
    return error != 0 ? error
                      : noted(calls, lock, ML_LOCK_WHOLE,
                              ml_libc.pthread_rwlock_clockwrlock(lock, clock, until));
}

int ml_co_pthread_rwlock_timedrdlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock,
                                     const struct timespec *until)
{
    return ml_co_pthread_rwlock_clockrdlock(calls, lock, CLOCK_REALTIME, until);
}

int ml_co_pthread_rwlock_timedwrlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock,
                                     const struct timespec *until)
{
    return ml_co_pthread_rwlock_clockwrlock(calls, lock, CLOCK_REALTIME, until);
}

int ml_co_pthread_mutex_trylock(struct ml_libc_calls *calls, pthread_mutex_t *mutex)
{
    return is_free(calls, mutex, ML_LOCK_WHOLE)
               ? noted(calls, mutex, ML_LOCK_WHOLE, ml_libc.pthread_mutex_trylock(mutex))
               : EBUSY;
}

int ml_co_pthread_mutex_unlock(struct ml_libc_calls *calls, pthread_mutex_t *mutex)
{
    return struck(calls, mutex, ml_libc.pthread_mutex_unlock(mutex));
}

int ml_co_pthread_rwlock_rdlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock)
{
    int error = await(calls, lock, ML_LOCK_SHARED);
    return error != 0 ? error
                      : noted(calls, lock, ML_LOCK_SHARED, ml_libc.pthread_rwlock_rdlock(lock));
}

int ml_co_pthread_rwlock_wrlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock)
{
    int error = await(calls, lock, ML_LOCK_WHOLE);
    return error != 0 ? error
                      : noted(calls, lock, ML_LOCK_WHOLE, ml_libc.pthread_rwlock_wrlock(lock));
}

int ml_co_pthread_rwlock_tryrdlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock)
{
    return is_free(calls, lock, ML_LOCK_SHARED)
               ? noted(calls, lock, ML_LOCK_SHARED, ml_libc.pthread_rwlock_tryrdlock(lock))
               : EBUSY;
}

int ml_co_pthread_rwlock_trywrlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock)
{
    return is_free(calls, lock, ML_LOCK_WHOLE)
               ? noted(calls, lock, ML_LOCK_WHOLE, ml_libc.pthread_rwlock_trywrlock(lock))
               : EBUSY;
}

int ml_co_pthread_rwlock_unlock(struct ml_libc_calls *calls, pthread_rwlock_t *lock)
{
    return struck(calls, lock, ml_libc.pthread_rwlock_unlock(lock));
}

/* Keeps the file's error flags from the wait: a caller that asks for the error of a call asks the
 * file. */
static __attribute__((noinline)) void flock_in_turn(struct ml_libc_calls *calls, FILE *file)
{
    int before = file->_flags & _IO_ERR_SEEN;
    ml_lock_note(calls, ml_stdio_queue(file),
                 ML_LOCK_SHARED); /* so that the file is not freed meanwhile */
    await(calls, file, ML_LOCK_WHOLE);
    file->_flags = (file->_flags & ~_IO_ERR_SEEN) | before;
    ml_libc.flockfile(file);
    ml_lock_note(calls, file, ML_LOCK_WHOLE);
    ml_lock_strike(calls, ml_stdio_queue(file));
}

void ml_co_flockfile(struct ml_libc_calls *calls, FILE *file)
{
    if (ml_unlikely(!is_free(calls, file, ML_LOCK_WHOLE))) {
        flock_in_turn(calls, file);
        return;
    }
    ml_libc.flockfile(file);
    ml_lock_note(calls, file, ML_LOCK_WHOLE);
}

int ml_co_ftrylockfile(struct ml_libc_calls *calls, FILE *file)
{
    return is_free(calls, file, ML_LOCK_WHOLE)
               ? noted(calls, file, ML_LOCK_WHOLE, ml_libc.ftrylockfile(file))
               : EBUSY;
}

void ml_co_funlockfile(struct ml_libc_calls *calls, FILE *file)
{
    ml_libc.funlockfile(file);
    ml_lock_strike(calls, file);
}

/* Another task that came here while this one waited would block the thread for ever. */
int ml_co_pthread_once(struct ml_libc_calls *calls, pthread_once_t *control, void (*routine)(void))
{
    ml_no_wait_enter(calls, control, __builtin_frame_address(0));
    int error = ml_libc.pthread_once(control, routine);
    ml_no_wait_leave(calls, control);
    return error;
}
