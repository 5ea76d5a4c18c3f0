/*
 * Slices: what work at descriptors costs, and that a task that never has to wait lets others run,
 * and the hub look at the clock, when its slice is used up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "child_process.h"
#include "hub_fixture.h"

#include "hub/state/scope.h"
#include "hub/wait/slice.h"
#include "hub/wait/wait.h"

#include <errno.h>

/* ---- the books ---- */

static void test_a_slice_is_over_when_all_of_it_is_spent(void **state)
{
    (void)state;
    struct ml_hub hub = {.slice = {.spent = 0}};
    assert_false(ml_slice_is_over(&hub));
    ml_slice_spend(&hub, ML_SLICE - 1);
    assert_false(ml_slice_is_over(&hub));
    ml_slice_spend(&hub, 1);
    assert_true(ml_slice_is_over(&hub));
    ml_slice_spend(&hub, 1000);
    assert_true(ml_slice_is_over(&hub));
    ml_slice_renew(&hub);
    assert_false(ml_slice_is_over(&hub));
    ml_slice_spend(&hub, ML_SLICE - 1);
    assert_false(ml_slice_is_over(&hub));
}

static unsigned cost_of_bytes(ssize_t bytes)
{
    struct ml_hub hub = {.slice = {.spent = 0}};
    ml_slice_spend_bytes(&hub, bytes);
    return hub.slice.spent;
}

static unsigned cost_of_call(ssize_t bytes)
{
    struct ml_hub hub = {.slice = {.spent = 0}};
    ml_slice_spend_call(&hub, bytes);
    return hub.slice.spent;
}

static void test_bytes_cost_one_for_each_whole_kilobyte(void **state)
{
    (void)state;
    assert_int_equal(cost_of_bytes(0), 0);
    assert_int_equal(cost_of_bytes(1023), 0);
    assert_int_equal(cost_of_bytes(1024), 1);
    assert_int_equal(cost_of_bytes(2047), 1);
    assert_int_equal(cost_of_bytes(64 * 1024), 64);
    assert_int_equal(cost_of_bytes(-1), 0);
    assert_int_equal(cost_of_bytes(-4096), 0);
    assert_int_equal(cost_of_bytes(1 << 30), 1 << 20);
}

static void test_a_call_of_the_kernel_costs_its_price_also_if_it_fails(void **state)
{
    (void)state;
    assert_int_equal(cost_of_call(0), ML_SLICE_CALL);
    assert_int_equal(cost_of_call(-EAGAIN), ML_SLICE_CALL);
    assert_int_equal(cost_of_call(1), ML_SLICE_CALL);
    assert_int_equal(cost_of_call(4096), ML_SLICE_CALL + 4);
}

static void test_a_slice_has_room_for_16_calls_or_128_kilobytes(void **state)
{
    (void)state;
    assert_int_equal(ML_SLICE / ML_SLICE_CALL, 16);
    assert_int_equal(cost_of_bytes(128 * 1024), ML_SLICE);
}

/* ---- tasks ---- */

struct scene {
    struct ml_hub hub;
    struct c_task tasks[2]; /* one that never waits, and one that counts its turns */
    int turns;
    bool is_over;
};

static void count_turns(struct c_task *self)
{
    struct scene *scene = self->data;
    while (!scene->is_over) {
        scene->turns++;
        assert_int_equal(ml_yield(hub_of(self)), 0);
    }
}

/* `run` runs first, then they take turns. */
static void run_scene(void (*run)(struct c_task *self))
{
    static struct scene scene;
    memset(&scene, 0, sizeof scene);
    open_hub(&scene.hub);
    spawn(&scene.hub, &scene.tasks[0], run, &scene);
    spawn(&scene.hub, &scene.tasks[1], count_turns, &scene);
    assert_int_equal(run_all(&scene.hub), 0);
    assert_int_equal(scene.tasks[0].result, 0);
    close_hub(&scene.hub);
}

static void finish(struct c_task *self)
{
    ((struct scene *)self->data)->is_over = true;
    self->result = 0;
}

static void pass_points(struct c_task *self)
{
    const struct scene *scene = self->data;
    ml_slice_renew(hub_of(self));
    for (int round = 1; round <= 3; round++) {
        for (int i = 1; i < ML_SLICE; i++)
            assert_int_equal(ml_slice_point(hub_of(self)), 0);
        assert_int_equal(scene->turns, round - 1);
        assert_int_equal(ml_slice_point(hub_of(self)), 0);
        assert_int_equal(scene->turns, round);
    }
    finish(self);
}

static void test_others_run_once_a_slice_of_points_is_used_up(void **state)
{
    (void)state;
    run_scene(pass_points);
}

static void pass_points_with_calls(struct c_task *self)
{
    const struct scene *scene = self->data;
    ml_slice_renew(hub_of(self));
    for (int i = 0; i < 14; i++) {
        assert_int_equal(ml_slice_point(hub_of(self)), 0);
        ml_slice_spend_call(hub_of(self), 10);
    }
    assert_int_equal(scene->turns, 0);
    assert_int_equal(ml_slice_point(hub_of(self)), 0);
    assert_int_equal(scene->turns, 0);
    ml_slice_spend_bytes(hub_of(self), 1024);
    assert_int_equal(ml_slice_point(hub_of(self)), 0);
    assert_int_equal(scene->turns, 1);
    finish(self);
}

static void test_calls_and_bytes_bring_the_end_of_a_slice_nearer(void **state)
{
    (void)state;
    run_scene(pass_points_with_calls);
}

static int whatever_parks[3];

static void park_in_each_way(struct c_task *self)
{
    struct ml_hub *hub = hub_of(self);
    for (int i = 0; i < 3; i++) {
        ml_slice_spend(hub, ML_SLICE);
        if (i == 0)
            assert_int_equal(ml_yield(hub), 0);
        else if (i == 1)
            assert_int_equal(ml_sleep_until(hub, in_ms(1)), 0);
        else
            ml_pass(hub);
        whatever_parks[i] = (int)hub->slice.spent;
    }
    finish(self);
}

static void test_whatever_parks_the_task_begins_a_new_slice(void **state)
{
    (void)state;
    run_scene(park_in_each_way);
    for (int i = 0; i < 3; i++)
        assert_int_equal(whatever_parks[i], 0);
}

/* What a task that ends has left of its slice is no other task's. */
static void note_what_is_spent(struct c_task *self)
{
    self->result = (int)hub_of(self)->slice.spent;
    ml_slice_spend(hub_of(self), ML_SLICE - 1);
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(1)), 0);
    assert_int_equal(hub_of(self)->slice.spent, 0);
}

static void test_a_task_that_is_switched_to_has_a_slice_of_its_own(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[3];
    open_hub(&hub);
    for (int i = 0; i < 3; i++)
        spawn(&hub, &tasks[i], note_what_is_spent, NULL);
    assert_int_equal(run_all(&hub), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tasks[i].result, 0);
    close_hub(&hub);
}

static void point_in_cancelled_scope(struct c_task *self)
{
    struct ml_hub *hub = hub_of(self);
    const struct scene *scene = self->data;
    struct ml_scope *scope = ml_scope_open(hub, ML_SCOPE_PLAIN, ML_FOREVER);
    assert_int_equal(ml_slice_point(hub), 0);
    ml_scope_cancel(scope);
    assert_int_equal(ml_slice_point(hub), -ECANCELED);
    ml_slice_spend(hub, ML_SLICE);
    assert_int_equal(ml_slice_point(hub), -ECANCELED);
    assert_int_equal(ml_slice_end(hub), -ECANCELED);
    assert_int_equal(scene->turns, 0);
    ml_scope_close(hub, scope);
    assert_int_equal(ml_slice_point(hub), 0);
    assert_int_equal(scene->turns, 1);
    finish(self);
}

static void test_a_point_tells_a_cancellation_whether_the_slice_is_over_or_not(void **state)
{
    (void)state;
    run_scene(point_in_cancelled_scope);
}

static int pass_point_in_child(void *task)
{
    return ml_slice_point(hub_of(task)) == -ECHILD ? 0 : 1;
}

static int be_refused_in_child(void *task)
{
    const struct scene *scene = ((struct c_task *)task)->data;
    for (int i = 0; i < ML_SLICE; i++)
        ml_slice_refused(hub_of(task));
    return scene->turns;
}

static void fork_and_go_on(struct c_task *self)
{
    assert_true(exited_with(run_in_child(pass_point_in_child, self), 0));
    assert_true(exited_with(run_in_child(be_refused_in_child, self), 0));
    finish(self);
}

static void test_nobody_else_runs_in_a_process_that_the_task_forked(void **state)
{
    (void)state;
    run_scene(fork_and_go_on);
}

/* ---- refused waits ---- */

static void retry_though_cancelled(struct c_task *self)
{
    struct ml_hub *hub = hub_of(self);
    const struct scene *scene = self->data;
    ml_task_cancel(&self->task);
    ml_slice_renew(hub);
    for (int round = 1; round <= 3; round++) {
        for (int i = 1; i < ML_SLICE / ML_SLICE_CALL; i++)
            ml_slice_refused(hub);
        assert_int_equal(scene->turns, round - 1);
        ml_slice_refused(hub);
        assert_int_equal(scene->turns, round);
    }
    finish(self);
}

static void test_others_run_although_a_cancelled_task_only_retries(void **state)
{
    (void)state;
    run_scene(retry_though_cancelled);
}

/* ---- the clock ---- */

static void sleep_till_now(struct c_task *self)
{
    struct scene *scene = self->data;
    self->result = ml_sleep_until(hub_of(self), ml_clock_now());
    scene->is_over = true;
}

/* Lets so much time pass that a poll is due, whatever else there is to run. */
static void compute(struct c_task *self)
{
    struct scene *scene = self->data;
    let_wait(self, &scene->tasks[1]);
    ml_time end = in_ms(30);
    while (ml_clock_now() < end)
        ;
}

/* The first end of a slice has the hub look at the clock, and so the sleeper run, at the latest
 * before the second one returns. */
static void compute_and_end_slice(struct c_task *self)
{
    const struct scene *scene = self->data;
    compute(self);
    for (int i = 0; i < 2 && !scene->is_over; i++)
        assert_int_equal(ml_slice_end(hub_of(self)), 0);
    self->result = scene->is_over ? 0 : -1;
}

static void compute_and_be_refused(struct c_task *self)
{
    const struct scene *scene = self->data;
    compute(self);
    ml_task_cancel(&self->task);
    for (int i = 0; i < 2 * ML_SLICE / ML_SLICE_CALL && !scene->is_over; i++)
        ml_slice_refused(hub_of(self));
    self->result = scene->is_over ? 0 : -1;
}

static void run_beside_sleeper(void (*run)(struct c_task *self))
{
    static struct scene scene;
    memset(&scene, 0, sizeof scene);
    open_hub(&scene.hub);
    spawn(&scene.hub, &scene.tasks[0], run, &scene);
    spawn(&scene.hub, &scene.tasks[1], sleep_till_now, &scene);
    assert_int_equal(run_all(&scene.hub), 0);
    assert_int_equal(scene.tasks[0].result, 0);
    assert_int_equal(scene.tasks[1].result, 0);
    close_hub(&scene.hub);
}

static void test_the_end_of_a_slice_has_the_clock_looked_at_when_it_is_time_to(void **state)
{
    (void)state;
    run_beside_sleeper(compute_and_end_slice);
    run_beside_sleeper(compute_and_be_refused);
}

static void spend_and_end(struct c_task *self)
{
    ml_slice_spend(hub_of(self), ML_SLICE - 1);
    finish(self);
}

static void expect_a_whole_slice(struct c_task *self)
{
    ml_slice_spend(hub_of(self), ML_SLICE - 1);
    self->result = ml_slice_is_over(hub_of(self));
}

/* Many tasks that each failed a few calls and ended used up the slice of the one behind them. */
static void test_the_task_behind_one_that_ends_has_a_whole_slice(void **state)
{
    (void)state;
    static struct scene scene;
    memset(&scene, 0, sizeof scene);
    open_hub(&scene.hub);
    spawn(&scene.hub, &scene.tasks[0], spend_and_end, &scene);
    spawn(&scene.hub, &scene.tasks[1], expect_a_whole_slice, &scene);
    assert_int_equal(run_all(&scene.hub), 0);
    assert_int_equal(scene.tasks[1].result, 0);
    close_hub(&scene.hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slice_is_over_when_all_of_it_is_spent),
        cmocka_unit_test(test_bytes_cost_one_for_each_whole_kilobyte),
        cmocka_unit_test(test_a_call_of_the_kernel_costs_its_price_also_if_it_fails),
        cmocka_unit_test(test_a_slice_has_room_for_16_calls_or_128_kilobytes),
        cmocka_unit_test(test_others_run_once_a_slice_of_points_is_used_up),
        cmocka_unit_test(test_calls_and_bytes_bring_the_end_of_a_slice_nearer),
        cmocka_unit_test(test_whatever_parks_the_task_begins_a_new_slice),
        cmocka_unit_test(test_a_task_that_is_switched_to_has_a_slice_of_its_own),
        cmocka_unit_test(test_a_point_tells_a_cancellation_whether_the_slice_is_over_or_not),
        cmocka_unit_test(test_nobody_else_runs_in_a_process_that_the_task_forked),
        cmocka_unit_test(test_others_run_although_a_cancelled_task_only_retries),
        cmocka_unit_test(test_the_end_of_a_slice_has_the_clock_looked_at_when_it_is_time_to),
        cmocka_unit_test(test_the_task_behind_one_that_ends_has_a_whole_slice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
