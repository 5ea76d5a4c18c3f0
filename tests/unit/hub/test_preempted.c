/*
 * Tasks that computed and gave way: others come first, but not for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hostile.h"
#include "hub_fixture.h"

#include "hub/state/ready.h"
#include "hub/wait/wait.h"

#include <stdio.h>

static char order[512];

static void note(const struct c_task *self)
{
    size_t length = strlen(order);
    snprintf(order + length, sizeof order - length, "%d ", self->number);
}

static void compute(struct c_task *self)
{
    for (int i = 0; i < 3; i++) {
        note(self);
        ml_give_way(hub_of(self));
    }
}

static void yield(struct c_task *self)
{
    for (int i = 0; i < 3; i++) {
        note(self);
        assert_int_equal(ml_yield(hub_of(self)), 0);
    }
}

static void test_those_that_yield_come_before_those_that_gave_way(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    open_hub(&hub);
    order[0] = '\0';
    for (int i = 0; i < 4; i++)
        spawn(&hub, &tasks[i], i % 2 == 0 ? compute : yield, NULL);
    assert_int_equal(run_all(&hub), 0);
    assert_string_equal(order, "1 2 3 4 2 4 2 4 1 3 1 3 ");
    close_hub(&hub);
}

static void yield_until_it_has_ended(struct c_task *self)
{
    const struct c_task *other = self->data;
    while (other->task.state != ML_TASK_ENDED)
        assert_int_equal(ml_yield(hub_of(self)), 0);
}

static void test_one_that_gave_way_runs_in_the_end_though_others_always_can(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task one = {.number = 1}, two = {.number = 2}, three = {.number = 3};
    open_hub(&hub);
    spawn(&hub, &one, compute, NULL);
    spawn(&hub, &two, yield_until_it_has_ended, &one);
    spawn(&hub, &three, yield_until_it_has_ended, &one);
    assert_int_equal(run_all(&hub), 0);
    close_hub(&hub);
}

static void drop_other(struct c_task *self)
{
    struct c_task *other = self->data;
    assert_ptr_equal(hub_of(self)->ready.rest, &other->task.waiter.link);
    ml_task_drop(hub_of(self), &other->task);
}

static void test_one_that_gave_way_can_be_dropped(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[] = {{.number = 1}, {.number = 2}, {.number = 3}};
    open_hub(&hub);
    order[0] = '\0';
    spawn(&hub, &tasks[0], compute, NULL);
    spawn(&hub, &tasks[1], compute, NULL);
    spawn(&hub, &tasks[2], drop_other, &tasks[0]);
    assert_int_equal(run_all(&hub), 0);
    assert_string_equal(order, "1 2 2 2 ");
    close_hub(&hub);
}

static void test_a_random_order_has_those_that_gave_way_too(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    open_hub(&hub);
    for (uint64_t seed = 1; seed < 50; seed++) {
        order[0] = '\0';
        ml_ready_set_shuffle(&hub, seed);
        for (int i = 0; i < 4; i++)
            spawn(&hub, &tasks[i], i % 2 == 0 ? compute : yield, NULL);
        assert_int_equal(run_all(&hub), 0);
        assert_int_equal(strlen(order), 4 * 3 * 2);
        assert_int_equal(hub.ready.count, 0);
        assert_ptr_equal(hub.ready.rest, &hub.ready.queue);
    }
    close_hub(&hub);
}

static void sleep_and_note(struct c_task *self)
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ml_sleep_until(hub_of(self), ml_clock_now() + 1), 0);
        note(self);
    }
}

static void let_time_pass(void)
{
    ml_time begin = ml_clock_now();
    while (ml_clock_now() < begin + 2)
        continue;
}

static void compute_for_long(struct c_task *self)
{
    let_time_pass();
    note(self);
    ml_give_way(hub_of(self));
}

/* A sleeper waited for all tasks of a burst, each of which computed for a slice when it began. */
static void test_a_woken_task_comes_before_those_that_have_not_begun(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task sleeper = {.number = 0}, tasks[5] = {0};
    open_hub(&hub);
    hub.waits.spurious = true; /* the hostile build: the first wait is not woken for nothing */
    order[0] = '\0';
    spawn(&hub, &sleeper, sleep_and_note, NULL);
    for (int i = 0; i < 5; i++) {
        tasks[i].number = i + 1;
        spawn(&hub, &tasks[i], compute_for_long, NULL);
    }
    assert_int_equal(run_all(&hub), 0);
    if (ML_IS_HOSTILE) /* the second one is, and stands at the end then */
        assert_memory_equal(order, "1 0 ", 4);
    else
        assert_string_equal(order, "1 0 2 0 3 0 4 5 ");
    assert_ptr_equal(hub.ready.rest, &hub.ready.queue);
    close_hub(&hub);
}

static void sleep_and_give_way(struct c_task *self)
{
    const struct c_task *last = self->data;
    for (int i = 0; last->task.state != ML_TASK_ENDED && i < 1000; i++) {
        let_time_pass();
        ml_give_way(hub_of(self));
        ml_sleep_until(hub_of(self), ml_clock_now() + 1);
    }
}

static void end_soon(struct c_task *self)
{
    (void)self;
}

/* Each time that one of the sleepers is preempted, another one is woken. */
static void test_one_that_has_not_begun_runs_though_others_are_woken_for_ever(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task last = {.number = 9}, sleepers[3] = {0};
    open_hub(&hub);
    for (int i = 0; i < 3; i++)
        spawn(&hub, &sleepers[i], sleep_and_give_way, &last);
    spawn(&hub, &last, end_soon, NULL);
    assert_int_equal(run_all(&hub), 0);
    for (int i = 0; i < 3; i++)
        assert_true(sleepers[i].task.switches < 100);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_those_that_yield_come_before_those_that_gave_way),
        cmocka_unit_test(test_one_that_gave_way_runs_in_the_end_though_others_always_can),
        cmocka_unit_test(test_one_that_gave_way_can_be_dropped),
        cmocka_unit_test(test_a_woken_task_comes_before_those_that_have_not_begun),
        cmocka_unit_test(test_one_that_has_not_begun_runs_though_others_are_woken_for_ever),
        cmocka_unit_test(test_a_random_order_has_those_that_gave_way_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
