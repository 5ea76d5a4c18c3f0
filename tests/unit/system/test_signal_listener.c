/*
 * Listeners: each gets every signal, standard signals once, real-time signals all, with their
 * values.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "base/error.h"
#include "hub/state/scope.h"
#include "hub/wait/wait.h"
#include "system/signal/inbox.h"
#include "system/signal/listener.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static struct ml_signal_inbox *inbox;

static void noticed(struct ml_hub *hub)
{
    (void)hub;
    ml_signal_inbox_empty(inbox);
}

static void open_all(struct ml_hub *hub)
{
    open_hub(hub);
    inbox = ml_signal_inbox_open(hub);
    assert_non_null(inbox);
    hub->hooks.noticed = noticed;
}

static void close_all(struct ml_hub *hub)
{
    ml_signal_inbox_close(inbox);
    close_hub(hub);
}

static void open_listener(struct ml_signal_listener *listener, int one, int another)
{
    uint64_t signals = ml_signal_bit(one) | ml_signal_bit(another);
    assert_int_equal(ml_signal_listener_open(listener, inbox, signals), 0);
}

static void queue_value(int number, int value)
{
    while (sigqueue(getpid(), number, (union sigval){.sival_int = value}) != 0)
        assert_int_equal(errno, EAGAIN);
}

static int try(struct ml_signal_listener *listener)
{
    struct ml_signal signal;
    int error = ml_signal_listener_try(listener, &signal);
    return error != 0 ? error : signal.number;
}

static void test_each_listener_gets_a_standard_signal_once(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct ml_signal_listener one, two, other;
    open_all(&hub);
    raise(SIGURG); /* nothing listens yet */
    open_listener(&one, SIGUSR1, SIGUSR2);
    open_listener(&two, SIGUSR1, SIGUSR1);
    open_listener(&other, SIGWINCH, SIGWINCH);
    assert_int_equal(try(&one), -EAGAIN);
    raise(SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR1);
    assert_int_equal(try(&one), SIGUSR2);
    raise(SIGUSR2);
    raise(SIGUSR1);
    assert_int_equal(try(&one), SIGUSR1);
    assert_int_equal(try(&one), SIGUSR2);
    assert_int_equal(try(&one), -EAGAIN);
    assert_int_equal(try(&two), SIGUSR1);
    assert_int_equal(try(&two), -EAGAIN);
    assert_int_equal(try(&other), -EAGAIN);
    raise(SIGUSR1); /* after it was fetched the signal counts anew */
    assert_int_equal(try(&one), SIGUSR1);
    ml_signal_listener_close(&one);
    ml_signal_listener_close(&one);
    assert_int_equal(try(&one), -ML_ECLOSED);
    assert_int_equal(try(&two), SIGUSR1);
    ml_signal_listener_close(&two);
    ml_signal_listener_close(&other);
    close_all(&hub);
}

static void test_what_came_before_is_not_for_a_new_listener(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct ml_signal_listener early, late;
    open_all(&hub);
    open_listener(&early, SIGUSR1, SIGUSR1);
    raise(SIGUSR1);
    open_listener(&late, SIGUSR1, SIGUSR1);
    assert_int_equal(try(&late), -EAGAIN);
    assert_int_equal(try(&early), SIGUSR1);
    raise(SIGUSR1);
    ml_signal_listener_close(&early);
    assert_int_equal(try(&late), SIGUSR1);
    ml_signal_listener_close(&late);
    close_all(&hub);
}

static void test_real_time_signals_are_all_queued_with_their_values(void **state)
{
    enum { COUNT = 3000 };
    (void)state;
    struct ml_hub hub;
    struct ml_signal_listener listener;
    struct ml_signal signal;
    open_all(&hub);
    open_listener(&listener, SIGRTMIN + 3, SIGUSR1);
    for (int i = 0; i < COUNT; i++) {
        queue_value(SIGRTMIN + 3, i);
        if (i % 7 == 0)
            raise(SIGUSR1);
    }
    assert_int_equal(try(&listener), SIGUSR1);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ml_signal_listener_try(&listener, &signal), 0);
        assert_int_equal(signal.number, SIGRTMIN + 3);
        assert_true(signal.has_value);
        assert_int_equal(signal.value, i);
    }
    raise(SIGRTMIN + 3);
    assert_int_equal(ml_signal_listener_try(&listener, &signal), 0);
    assert_false(signal.has_value);
    assert_int_equal(try(&listener), -EAGAIN);
    assert_int_equal(ml_signal_listener_lost(&listener), 0);
    ml_signal_listener_close(&listener);
    close_all(&hub);
}

/* ---- waits ---- */

struct waiting {
    struct ml_signal_listener listener;
    int got, ended;
};

static void wait_twice(struct c_task *self)
{
    struct waiting *waiting = self->data;
    struct ml_signal signal;
    for (int i = 0; i < 2; i++) {
        self->result = ml_signal_listener_wait(&waiting->listener, &signal, ML_FOREVER);
        waiting->got += self->result == 0;
    }
    waiting->ended++;
}

static void *send_from_thread(void *argument)
{
    (void)argument;
    kill(getpid(), SIGUSR1);
    return NULL;
}

static void send_and_close(struct c_task *self)
{
    struct waiting *waiting = self->data;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_from_thread, NULL), 0);
    while (waiting->got == 0)
        assert_int_equal(ml_sleep_until(hub_of(self), ml_clock_now() + ML_MILLISECOND), 0);
    pthread_join(thread, NULL);
    ml_signal_listener_close(&waiting->listener);
}

static void test_a_signal_wakes_one_task_and_closing_all(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct waiting waiting = {0};
    struct c_task tasks[2], sender;
    open_all(&hub);
    open_listener(&waiting.listener, SIGUSR1, SIGTERM);
    spawn(&hub, &tasks[0], wait_twice, &waiting);
    spawn(&hub, &tasks[1], wait_twice, &waiting);
    spawn(&hub, &sender, send_and_close, &waiting);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(waiting.got, 1);
    assert_int_equal(waiting.ended, 2);
    assert_int_equal(tasks[0].result, -ML_ECLOSED);
    assert_int_equal(tasks[1].result, -ML_ECLOSED);
    close_all(&hub);
}

static void wait_for_other_things(struct c_task *self)
{
    struct waiting *waiting = self->data;
    struct ml_signal signal;
    ml_time soon = ml_clock_now() + 10 * ML_MILLISECOND;
    assert_int_equal(ml_signal_listener_wait(&waiting->listener, &signal, ML_NEVER_WAIT),
                     -ETIMEDOUT);
    assert_int_equal(ml_signal_listener_wait(&waiting->listener, &signal, soon), -ETIMEDOUT);
    ml_task_cancel(&self->task);
    assert_int_equal(ml_signal_listener_wait(&waiting->listener, &signal, ML_FOREVER), -ECANCELED);
    raise(SIGTERM);
    assert_int_equal(ml_signal_listener_wait(&waiting->listener, &signal, ML_NEVER_WAIT), 0);
    assert_int_equal(signal.number, SIGTERM);
    waiting->ended++;
}

static void test_a_wait_ends_by_its_deadline_or_a_cancellation(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct waiting waiting = {0};
    struct c_task task;
    open_all(&hub);
    open_listener(&waiting.listener, SIGTERM, SIGTERM);
    spawn(&hub, &task, wait_for_other_things, &waiting);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(waiting.ended, 1);
    ml_signal_listener_close(&waiting.listener);
    close_all(&hub);
}

/* ---- a storm ---- */

enum { SENDERS = 4, EACH = 25000 };

static void *send_many(void *argument)
{
    int first = *(int *)argument;
    for (int i = 0; i < EACH; i++) {
        queue_value(SIGRTMIN + 1, first + i);
        if (i % 16 == 0)
            kill(getpid(), SIGUSR1);
    }
    return NULL;
}

static void receive_many(struct c_task *self)
{
    struct waiting *waiting = self->data;
    struct ml_signal signal;
    int next[SENDERS] = {0};
    while (waiting->got < SENDERS * EACH) {
        assert_int_equal(ml_signal_listener_wait(&waiting->listener, &signal, ML_FOREVER), 0);
        if (signal.number == SIGUSR1)
            continue;
        next[signal.value / EACH]++;
        waiting->got++;
    }
    for (int i = 0; i < SENDERS; i++)
        self->result = next[i] == EACH && self->result >= 0 ? 0 : -1;
}

static bool is_over;

static void compute(struct c_task *self)
{
    while (!is_over) {
        for (volatile int i = 0; i < 20000; i++)
            ;
        assert_int_equal(ml_sleep_until(hub_of(self), ml_clock_now() + ML_MILLISECOND), 0);
    }
}

static void end_of_storm(struct c_task *self)
{
    assert_int_equal(ml_join(hub_of(self), self->data, ML_FOREVER), 0);
    is_over = true;
}

static void test_a_storm_of_signals_is_counted_right(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct waiting waiting = {0};
    struct c_task receiver, computer, end;
    pthread_t senders[SENDERS];
    int first[SENDERS];
    open_all(&hub);
    open_listener(&waiting.listener, SIGRTMIN + 1, SIGUSR1);
    for (int i = 0; i < SENDERS; i++) {
        first[i] = i * EACH;
        assert_int_equal(pthread_create(&senders[i], NULL, send_many, &first[i]), 0);
    }
    spawn(&hub, &receiver, receive_many, &waiting);
    spawn(&hub, &computer, compute, NULL);
    spawn(&hub, &end, end_of_storm, &receiver.task);
    assert_int_equal(ml_hub_run(&hub, ML_UNTIL_ALL_ENDED, ml_clock_now() + 120 * ML_SECOND), 0);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    assert_int_equal(receiver.result, 0);
    assert_int_equal(ml_signal_listener_lost(&waiting.listener), 0);
    ml_signal_listener_close(&waiting.listener);
    close_all(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_listener_gets_a_standard_signal_once),
        cmocka_unit_test(test_what_came_before_is_not_for_a_new_listener),
        cmocka_unit_test(test_real_time_signals_are_all_queued_with_their_values),
        cmocka_unit_test(test_a_signal_wakes_one_task_and_closing_all),
        cmocka_unit_test(test_a_wait_ends_by_its_deadline_or_a_cancellation),
        cmocka_unit_test(test_a_storm_of_signals_is_counted_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
