/*
 * Cancel scopes and cancellation: which wait they end, what they tell, how they nest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "hub/state/ready.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"
#include "hub/wait/wait.h"

#include <errno.h>

static const struct ml_wait_kind kind = {.text = "a test", .external = true};

/* Waits until something other than a spurious wake-up ends it. */
static int wait_until(struct ml_hub *hub, ml_time deadline)
{
    int error;
    do
        error = ml_wait(hub, &kind, 0, NULL, deadline);
    while (error == 0);
    return error;
}

static void let_inner_expire(struct c_task *self)
{
    struct ml_hub *hub = hub_of(self);
    struct ml_scope *outer = ml_scope_open(hub, ML_SCOPE_PLAIN, in_ms(20000));
    struct ml_scope *inner = ml_scope_open(hub, ML_SCOPE_PLAIN, in_ms(3));
    assert_int_equal(wait_until(hub, ML_FOREVER), -ECANCELED);
    assert_int_equal(wait_until(hub, ML_FOREVER), -ECANCELED);
    assert_int_equal(ml_yield(hub), -ECANCELED);
    assert_int_equal(ml_cancel_point(hub), -ECANCELED);
    assert_true(ml_scope_close(hub, inner).expired);
    assert_int_equal(ml_cancel_point(hub), 0);
    assert_int_equal(ml_yield(hub), 0);
    assert_false(ml_scope_close(hub, outer).expired);
}

static void test_an_inner_scope_expires_alone_and_is_level_triggered(void **state)
{
    (void)state;
    run_in_task(let_inner_expire, NULL);
}

static void let_outer_expire(struct c_task *self)
{
    struct ml_hub *hub = hub_of(self);
    struct ml_scope *outer = ml_scope_open(hub, ML_SCOPE_PLAIN, in_ms(3));
    struct ml_scope *inner = ml_scope_open(hub, ML_SCOPE_PLAIN, in_ms(20000));
    assert_int_equal(wait_until(hub, ML_FOREVER), -ECANCELED);
    assert_false(ml_scope_close(hub, inner).expired);
    assert_int_equal(ml_cancel_point(hub), -ECANCELED);
    assert_true(ml_scope_close(hub, outer).expired);
    assert_int_equal(ml_cancel_point(hub), 0);
}

static void test_an_outer_scope_ends_waits_of_inner_ones(void **state)
{
    (void)state;
    run_in_task(let_outer_expire, NULL);
}

static void look_at_nearest(struct c_task *self)
{
    struct ml_hub *hub = hub_of(self);
    ml_time now = ml_clock_now();
    assert_int_equal(ml_scope_deadline(&self->task), ML_FOREVER);
    struct ml_scope *a = ml_scope_open(hub, ML_SCOPE_PLAIN, now + 100 * ML_SECOND);
    assert_int_equal(a->nearest_deadline, now + 100 * ML_SECOND);
    struct ml_scope *b = ml_scope_open(hub, ML_SCOPE_PLAIN, now + 200 * ML_SECOND);
    assert_int_equal(b->nearest_deadline, now + 100 * ML_SECOND);
    struct ml_scope *c = ml_scope_open(hub, ML_SCOPE_PLAIN, now + 50 * ML_SECOND);
    assert_int_equal(c->nearest_deadline, now + 50 * ML_SECOND);
    struct ml_scope *d = ml_scope_open(hub, ML_SCOPE_PLAIN, ML_FOREVER);
    assert_int_equal(d->nearest_deadline, now + 50 * ML_SECOND);
    ml_scope_close(hub, d);
    ml_scope_close(hub, c);
    ml_scope_close(hub, b);
    ml_scope_close(hub, a);
    assert_int_equal(ml_scope_deadline(&self->task), ML_FOREVER);
}

static void test_the_nearest_deadline_is_the_earliest_of_all_scopes(void **state)
{
    (void)state;
    run_in_task(look_at_nearest, NULL);
}

static void leave_scopes_open(struct c_task *self)
{
    for (int i = 0; i < 100; i++)
        assert_non_null(ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, in_ms(100000)));
}

static void test_scopes_left_open_are_given_back_at_the_end(void **state)
{
    (void)state;
    run_in_task(leave_scopes_open, NULL);
}

/* ---- ml_task_cancel ---- */

static void wait_three_times(struct c_task *self)
{
    for (int i = 0; i < 3; i++)
        self->result = wait_until(hub_of(self), ML_FOREVER);
    struct ml_scope *scope = ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, in_ms(20000));
    assert_int_equal(ml_yield(hub_of(self)), -ECANCELED);
    assert_false(ml_scope_close(hub_of(self), scope).expired);
}

static void cancel_target(struct c_task *self)
{
    struct c_task *target = self->data;
    let_wait(self, target);
    ml_task_cancel(&target->task);
    assert_int_equal(target->task.state, ML_TASK_READY);
    ml_task_cancel(&target->task);
}

static void test_cancel_ends_the_wait_and_every_later_one(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    open_hub(&hub);
    spawn(&hub, &tasks[0], wait_three_times, NULL);
    spawn(&hub, &tasks[1], cancel_target, &tasks[0]);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[0].result, -ECANCELED);
    ml_task_cancel(&tasks[0].task);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_inner_scope_expires_alone_and_is_level_triggered),
        cmocka_unit_test(test_an_outer_scope_ends_waits_of_inner_ones),
        cmocka_unit_test(test_the_nearest_deadline_is_the_earliest_of_all_scopes),
        cmocka_unit_test(test_scopes_left_open_are_given_back_at_the_end),
        cmocka_unit_test(test_cancel_ends_the_wait_and_every_later_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
