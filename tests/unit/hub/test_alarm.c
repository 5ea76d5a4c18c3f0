/*
 * Alarms: they ring while tasks wait, and keep nothing alive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "hub/on/alarm.h"
#include "hub/state/ready.h"
#include "hub/switch/switch.h"
#include "hub/wait/wait.h"

#include <errno.h>

static const struct ml_wait_kind bell = {.text = "a bell", .external = true};
static const struct ml_wait_kind nothing = {.text = "nothing"};

struct ringing {
    struct ml_alarm *alarm;
    struct ml_task *waiter;
    int count;
    int last; /* it stops itself then */
};

static void ring(void *data)
{
    struct ringing *ringing = data;
    if (++ringing->count == ringing->last)
        ml_alarm_stop(ringing->alarm);
    if (ringing->waiter != NULL)
        ml_task_wake(ringing->waiter, ML_WAKE_EVENT);
}

static void wait_for_three(struct c_task *self)
{
    struct ringing *ringing = self->data;
    ringing->waiter = &self->task;
    ml_time start = ml_clock_now();
    while (ringing->count < 3)
        assert_int_equal(ml_wait(hub_of(self), &bell, 0, NULL, ML_FOREVER), 0);
    assert_true(ml_clock_now() - start >= 3 * 5 * ML_MILLISECOND);
    ringing->waiter = NULL;
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(30)), 0);
    assert_int_equal(ringing->count, ringing->last);
}

static void test_an_alarm_rings_until_it_is_stopped(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task task;
    struct ringing ringing = {.last = 3};
    open_hub(&hub);
    ringing.alarm = ml_alarm_open(&hub, ring, &ringing);
    assert_non_null(ringing.alarm);
    ml_alarm_start(ringing.alarm, 5 * ML_MILLISECOND);
    ml_alarm_start(ringing.alarm, ML_MILLISECOND);
    spawn(&hub, &task, wait_for_three, &ringing);
    assert_int_equal(run_all(&hub), 0);
    ml_alarm_close(ringing.alarm);
    close_hub(&hub);
}

static void wait_in_vain(struct c_task *self)
{
    while (self->data != NULL)
        ml_wait(hub_of(self), &nothing, 0, NULL, ML_FOREVER);
}

static void test_an_alarm_alone_ends_no_deadlock(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task task;
    struct ringing ringing = {0};
    open_hub(&hub);
    ringing.alarm = ml_alarm_open(&hub, ring, &ringing);
    ml_alarm_start(ringing.alarm, ML_MILLISECOND);
    spawn(&hub, &task, wait_in_vain, &ringing);
    assert_int_equal(run_all(&hub), -EDEADLK);
    ml_task_drop(&hub, &task.task);
    ml_alarm_close(ringing.alarm);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_alarm_rings_until_it_is_stopped),
        cmocka_unit_test(test_an_alarm_alone_ends_no_deadlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
