/* Locks that C libraries take in tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "interpose/held_locks.h"
#include "interpose/libc_calls.h"

#include <errno.h>
#include <pthread.h>

struct shared {
    struct ml_libc_calls *libc_calls;
    pthread_mutex_t mutex;
    bool may_wait;
};

static struct shared *now_shared;

static bool may_wait(struct ml_hub *hub)
{
    (void)hub;
    return now_shared->may_wait;
}

static void init_shared(struct shared *shared, struct ml_hub *hub, int kind)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, kind);
    pthread_mutex_init(&shared->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    shared->libc_calls = ml_libc_calls_open(hub);
    shared->libc_calls->owner.may_wait = may_wait;
    shared->may_wait = true;
    hub->libc_calls = shared->libc_calls;
    now_shared = shared;
}

static void release_shared(struct shared *shared, struct ml_hub *hub)
{
    hub->libc_calls = NULL;
    ml_libc_calls_close(shared->libc_calls);
    pthread_mutex_destroy(&shared->mutex);
}

static void *try_mutex(void *mutex)
{
    return (void *)(intptr_t)pthread_mutex_trylock(mutex);
}

/* Whether another thread could take it. */
static bool is_taken(pthread_mutex_t *mutex)
{
    pthread_t thread;
    void *error;
    pthread_create(&thread, NULL, try_mutex, mutex);
    pthread_join(thread, &error);
    return (intptr_t)error == EBUSY;
}

static void hold_a_while(struct c_task *self)
{
    struct shared *shared = self->data;
    const struct timespec span = {0, 20000000};
    self->result = ml_co_pthread_mutex_lock(shared->libc_calls, &shared->mutex);
    ml_co_nanosleep(shared->libc_calls, &span, NULL);
    self->number = is_taken(&shared->mutex);
    ml_co_pthread_mutex_unlock(shared->libc_calls, &shared->mutex);
}

/* As a finalizer does: it may not wait. */
static void want_without_waiting(struct c_task *self)
{
    struct shared *shared = self->data;
    shared->may_wait = false;
    self->result = ml_co_pthread_mutex_lock(shared->libc_calls, &shared->mutex);
    if (self->result == 0)
        ml_co_pthread_mutex_unlock(shared->libc_calls, &shared->mutex);
    shared->may_wait = true;
}

static void run_both(struct c_task tasks[2], int kind)
{
    struct ml_hub hub;
    struct shared shared;
    open_hub(&hub);
    init_shared(&shared, &hub, kind);
    spawn(&hub, &tasks[0], hold_a_while, &shared);
    spawn(&hub, &tasks[1], want_without_waiting, &shared);
    assert_int_equal(run_all(&hub), 0);
    release_shared(&shared, &hub);
    close_hub(&hub);
}

/*
 * The collector finalized a statement of an SQLite connection which another task used, and the lock
 * call failed: SQLite does not look, went on, and let go of the mutex that the other task had
 * taken.
 */
static void test_a_recursive_mutex_is_entered_again_where_a_task_may_not_wait(void **state)
{
    struct c_task tasks[2];
    (void)state;
    run_both(tasks, PTHREAD_MUTEX_RECURSIVE);
    assert_int_equal(tasks[1].result, 0);
    assert_int_equal(tasks[0].result, 0);
    assert_true(tasks[0].number);
}

static void test_any_other_mutex_is_refused_there(void **state)
{
    struct c_task tasks[2];
    (void)state;
    run_both(tasks, PTHREAD_MUTEX_NORMAL);
    assert_int_equal(tasks[1].result, EDEADLK);
    assert_true(tasks[0].number);
}

static void hold_for_good(struct c_task *self)
{
    struct shared *shared = self->data;
    const struct timespec span = {0, 20000000};
    self->result = ml_co_pthread_mutex_lock(shared->libc_calls, &shared->mutex);
    ml_co_nanosleep(shared->libc_calls, &span, NULL);
}

static void want(struct c_task *self)
{
    struct shared *shared = self->data;
    self->result = ml_co_pthread_mutex_lock(shared->libc_calls, &shared->mutex);
    ml_co_pthread_mutex_unlock(shared->libc_calls, &shared->mutex);
}

static void let_go_of_anothers(struct c_task *self)
{
    struct shared *shared = self->data;
    self->result = ml_co_pthread_mutex_unlock(shared->libc_calls, &shared->mutex);
}

/* As libc allows for plain mutexes: whoever waits for it goes on while the one who took it is there
 * still. */
static void test_a_mutex_that_another_task_unlocks_is_free(void **state)
{
    struct ml_hub hub;
    struct shared shared;
    struct c_task tasks[3];
    (void)state;
    open_hub(&hub);
    init_shared(&shared, &hub, PTHREAD_MUTEX_NORMAL);
    spawn(&hub, &tasks[0], hold_for_good, &shared);
    spawn(&hub, &tasks[1], want, &shared);
    spawn(&hub, &tasks[2], let_go_of_anothers, &shared);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[1].result, 0);
    assert_int_equal(tasks[2].result, 0);
    assert_int_equal(shared.libc_calls->held_locks.count, 0);
    release_shared(&shared, &hub);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_recursive_mutex_is_entered_again_where_a_task_may_not_wait),
        cmocka_unit_test(test_any_other_mutex_is_refused_there),
        cmocka_unit_test(test_a_mutex_that_another_task_unlocks_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
