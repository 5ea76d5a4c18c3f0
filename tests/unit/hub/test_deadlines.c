/*
 * The deadlines of waiting tasks: which tasks a moment wakes, in which order, and what becomes of
 * the entries of waits that ended before. The tasks of most tests never run: they only look as if
 * they waited.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_calls.h"
#include "hub_fixture.h"
#include "hub_log.h"
#include "random_sequence.h"

#include "hub/state/deadlines.h"
#include "hub/state/ready.h"
#include "hub/state/scope.h"
#include "hub/state/slots.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>

static const struct ml_wait_kind outer = {.text = "the world", .external = true};

/* ---- tasks that look as if they waited ---- */

enum { SLEEPERS = 8 };

static struct {
    struct ml_hub hub;
    struct c_task tasks[SLEEPERS]; /* each has the number of its place */
} test;

static void take_slot(int number)
{
    struct ml_task *task = &test.tasks[number].task;
    memset(task, 0, sizeof *task);
    test.tasks[number].number = number;
    task->hub = &test.hub;
    task->state = ML_TASK_RUNNING;
    task->deadline = task->timer_at = ML_FOREVER;
    assert_int_equal(ml_slots_take(&test.hub.slots, task, &task->waiter.slot), 0);
}

/* As the end of a task does. */
static void give_slot_back(int number)
{
    struct ml_task *task = &test.tasks[number].task;
    ml_slots_give_back(&test.hub.slots, task->waiter.slot);
    ml_deadline_forget(&test.hub, task);
    task->state = ML_TASK_ENDED;
}

static void open_test(void)
{
    clear_log();
    open_hub(&test.hub);
    for (int i = 0; i < SLEEPERS; i++)
        take_slot(i);
}

static void close_test(void)
{
    close_hub(&test.hub);
}

static void begin_wait(int number, ml_time deadline)
{
    test.tasks[number].task.deadline = deadline;
    test.tasks[number].task.state = ML_TASK_WAITING;
}

static int try_wait(int number, ml_time deadline)
{
    begin_wait(number, deadline);
    return ml_deadline_arm(&test.hub, &test.tasks[number].task);
}

static void wait_till(int number, ml_time deadline)
{
    assert_int_equal(try_wait(number, deadline), 0);
}

/* Something else than its deadline ends the wait. */
static void end_wait(int number)
{
    test.tasks[number].task.state = ML_TASK_RUNNING;
}

/* The clock shows `now`: logs the numbers of those that it wakes, in their order. */
static void look_at(ml_time now)
{
    struct ml_link *queue = &test.hub.ready.queue;
    ml_deadlines_wake_due(&test.hub, now);
    while (!ml_list_is_empty(queue)) {
        struct ml_task *task = ml_container_of(queue->next, struct ml_task, waiter.link);
        ml_ready_remove(&test.hub, task);
        assert_int_equal(task->wake, ML_WAKE_DEADLINE);
        task->state = ML_TASK_RUNNING;
        note(c_task_of(task)->number);
    }
}

static uint32_t entries(void)
{
    return test.hub.deadlines.timers.count;
}

static void test_a_moment_wakes_those_whose_deadline_is_not_after_it(void **state)
{
    (void)state;
    open_test();
    wait_till(0, 100);
    wait_till(1, 102);
    wait_till(2, 101);
    look_at(99);
    assert_int_equal(log_length, 0);
    look_at(101);
    ASSERT_LOG(0, 2);
    look_at(101);
    ASSERT_LOG(0, 2);
    look_at(102);
    ASSERT_LOG(0, 2, 1);
    assert_int_equal(entries(), 0);
    close_test();
}

static void test_the_nearest_deadline_is_told_and_there_is_none_without_waits(void **state)
{
    (void)state;
    open_test();
    assert_true(ml_deadlines_nearest(&test.hub) == ML_FOREVER);
    wait_till(0, 300);
    wait_till(1, 200);
    wait_till(2, 400);
    assert_int_equal(ml_deadlines_nearest(&test.hub), 200);
    look_at(250);
    assert_int_equal(ml_deadlines_nearest(&test.hub), 300);
    look_at(400);
    assert_true(ml_deadlines_nearest(&test.hub) == ML_FOREVER);
    close_test();
}

static void test_deadlines_at_both_ends_of_time_are_kept(void **state)
{
    (void)state;
    open_test();
    wait_till(0, ML_FOREVER - 1);
    wait_till(1, 0);
    wait_till(2, 1);
    look_at(0);
    ASSERT_LOG(1);
    look_at(ML_FOREVER - 2);
    ASSERT_LOG(1, 2);
    look_at(ML_FOREVER - 1);
    ASSERT_LOG(1, 2, 0);
    close_test();
}

static void test_an_entry_left_behind_serves_the_next_wait_with_a_later_deadline(void **state)
{
    (void)state;
    open_test();
    for (ml_time deadline = 100; deadline < 200; deadline++) {
        wait_till(0, deadline);
        assert_int_equal(entries(), 1);
        assert_true(ml_deadlines_nearest(&test.hub) <= deadline);
        end_wait(0);
    }
    wait_till(0, 200);
    look_at(199);
    assert_int_equal(log_length, 0);
    assert_int_equal(ml_deadlines_nearest(&test.hub), 200);
    look_at(200);
    ASSERT_LOG(0);
    close_test();
}

static void test_an_entry_left_behind_does_not_bring_its_task_forward(void **state)
{
    (void)state;
    open_test();
    wait_till(0, 100);
    end_wait(0);
    wait_till(0, 300);
    wait_till(1, 200);
    look_at(400);
    ASSERT_LOG(1, 0);
    close_test();
}

static void test_an_earlier_deadline_comes_true_and_the_later_one_before_it_wakes_nobody(
    void **state)
{
    (void)state;
    open_test();
    wait_till(0, 200);
    end_wait(0);
    wait_till(0, 100);
    look_at(100);
    ASSERT_LOG(0);
    begin_wait(0, ML_FOREVER);
    look_at(1000);
    ASSERT_LOG(0);
    assert_int_equal(entries(), 0);
    assert_int_equal(test.hub.deadlines.timers.stale, 0);
    close_test();
}

static void test_a_task_that_waits_without_a_deadline_or_does_not_wait_is_left_alone(void **state)
{
    (void)state;
    open_test();
    wait_till(0, 100);
    begin_wait(0, ML_FOREVER);
    wait_till(1, 100);
    end_wait(1);
    wait_till(2, 100);
    test.tasks[2].task.state = ML_TASK_NEW;
    look_at(100);
    assert_int_equal(log_length, 0);
    assert_int_equal(entries(), 0);
    wait_till(0, 150);
    wait_till(1, 140);
    look_at(150);
    ASSERT_LOG(1, 0);
    close_test();
}

static void test_a_deadline_that_was_forgotten_wakes_nobody(void **state)
{
    (void)state;
    open_test();
    ml_deadline_forget(&test.hub, &test.tasks[0].task);
    assert_int_equal(test.hub.deadlines.timers.stale, 0);
    wait_till(0, 100);
    ml_deadline_forget(&test.hub, &test.tasks[0].task);
    ml_deadline_forget(&test.hub, &test.tasks[0].task);
    look_at(200);
    assert_int_equal(log_length, 0);
    assert_int_equal(test.hub.deadlines.timers.stale, 0);
    wait_till(0, 300);
    look_at(300);
    ASSERT_LOG(0);
    close_test();
}

/* The entry of a task that has ended is still there when another one has its slot. */
static void test_the_entry_of_an_ended_task_does_not_wake_the_next_one_in_its_slot(void **state)
{
    (void)state;
    open_test();
    uint32_t slot = test.tasks[3].task.waiter.slot;
    wait_till(3, 100);
    give_slot_back(3);
    take_slot(3);
    assert_int_equal(test.tasks[3].task.waiter.slot, slot);
    wait_till(3, 300);
    look_at(299);
    assert_int_equal(log_length, 0);
    look_at(300);
    ASSERT_LOG(3);
    close_test();
}

static void test_an_entry_whose_slot_is_free_is_taken_out(void **state)
{
    (void)state;
    open_test();
    wait_till(3, 100);
    give_slot_back(3);
    look_at(100);
    assert_int_equal(log_length, 0);
    assert_int_equal(entries(), 0);
    close_test();
}

/* Lets each task wait until the heap has to grow for the next one. */
static void fill_heap(void)
{
    for (ml_time at = 1000; test.hub.deadlines.timers.count < 64; at--) {
        wait_till(SLEEPERS - 1, at);
        end_wait(SLEEPERS - 1);
    }
    wait_till(SLEEPERS - 1, 2000);
    assert_int_equal(test.hub.deadlines.timers.count, test.hub.deadlines.timers.capacity);
}

static void test_without_memory_a_task_has_no_deadline_and_the_others_keep_theirs(void **state)
{
    (void)state;
    open_test();
    wait_till(0, 500);
    wait_till(1, 600);
    end_wait(1);
    fill_heap();
    fail_calls(FAIL_MEMORY, 1, 2);
    assert_int_equal(try_wait(1, 400), -ENOMEM);
    assert_int_equal(try_wait(2, 450), -ENOMEM);
    assert_int_equal(end_failing(), 2);
    begin_wait(1, ML_FOREVER);
    begin_wait(2, ML_FOREVER);
    look_at(5000);
    ASSERT_LOG(0, SLEEPERS - 1);
    wait_till(1, 5001);
    wait_till(2, 5000);
    look_at(5001);
    ASSERT_LOG(0, SLEEPERS - 1, 2, 1);
    close_test();
}

static void test_the_first_deadline_of_all_needs_memory_too(void **state)
{
    (void)state;
    open_test();
    fail_calls(FAIL_MEMORY, 1, 1);
    assert_int_equal(try_wait(0, 100), -ENOMEM);
    assert_int_equal(end_failing(), 1);
    assert_true(ml_deadlines_nearest(&test.hub) == ML_FOREVER);
    wait_till(0, 100);
    look_at(100);
    ASSERT_LOG(0);
    close_test();
}

static void test_a_wait_whose_entry_is_early_enough_needs_no_memory(void **state)
{
    (void)state;
    open_test();
    wait_till(0, 100);
    fill_heap();
    fail_calls(FAIL_MEMORY, 1, 1);
    wait_till(0, 100);
    wait_till(0, 700);
    look_at(100);
    assert_int_equal(end_failing(), 0);
    look_at(700);
    ASSERT_LOG(0);
    close_test();
}

/* ---- whatever is done, in any order ---- */

/* The deadlines in force; ML_FOREVER: the task does not wait, or has none. */
static ml_time expected[SLEEPERS];

/* In any order: an entry from an earlier wait may bring a task forward. */
static void assert_woken_are_those_expected(ml_time now)
{
    bool is_woken[SLEEPERS] = {false};
    clear_log();
    look_at(now);
    for (int i = 0; i < log_length; i++)
        is_woken[logged[i]] = true;
    for (int i = 0; i < SLEEPERS; i++) {
        assert_int_equal(is_woken[i], expected[i] <= now);
        if (is_woken[i])
            expected[i] = ML_FOREVER;
    }
}

static void change_at_random(uint64_t *seed, ml_time now)
{
    int number = (int)random_below(seed, SLEEPERS);
    unsigned choice = random_below(seed, 100);
    if (choice < 60) {
        expected[number] = now + 1 + random_below(seed, 200);
        wait_till(number, expected[number]);
        return;
    }
    expected[number] = ML_FOREVER;
    if (choice < 75) {
        end_wait(number);
    } else if (choice < 90) {
        begin_wait(number, ML_FOREVER);
    } else {
        give_slot_back(number);
        take_slot(number);
    }
}

static void test_each_wait_ends_at_its_deadline_whatever_was_done_before(void **state)
{
    (void)state;
    uint64_t seed = 14;
    ml_time now = 1;
    open_test();
    for (int i = 0; i < SLEEPERS; i++)
        expected[i] = ML_FOREVER;
    for (int step = 0; step < 100000; step++) {
        change_at_random(&seed, now);
        if (random_below(&seed, 4) == 0)
            assert_woken_are_those_expected(now += random_below(&seed, 30));
    }
    assert_true(test.hub.deadlines.timers.capacity <= 1024);
    close_test();
}

/* ---- tasks that run ---- */

static void sleep_and_note(struct c_task *self)
{
    ml_time deadline = *(ml_time *)self->data + self->number * ML_MILLISECOND;
    assert_int_equal(ml_sleep_until(hub_of(self), deadline), 0);
    assert_true(ml_clock_now() >= deadline);
    note(self->number);
}

/* `generation`: of the last timer that was armed. */
static void check_order_of_sleepers(uint32_t generation)
{
    static const int order[] = {7, 3, 9, 1, 5, 8, 2, 6, 4};
    struct ml_hub hub;
    struct c_task tasks[9];
    open_hub(&hub);
    hub.deadlines.last_generation = generation;
    clear_log();
    ml_time start = in_ms(5);
    for (int i = 0; i < 9; i++) {
        tasks[i].number = order[i];
        spawn(&hub, &tasks[i], sleep_and_note, &start);
    }
    assert_int_equal(run_all(&hub), 0);
    ASSERT_LOG(1, 2, 3, 4, 5, 6, 7, 8, 9);
    assert_int_equal(hub.deadlines.timers.stale, 0);
    close_hub(&hub);
}

static void test_sleepers_wake_in_the_order_of_their_deadlines(void **state)
{
    (void)state;
    check_order_of_sleepers(0);
}

static void test_sleepers_wake_in_order_when_the_generations_of_timers_come_round(void **state)
{
    (void)state;
    for (uint32_t before = 0; before < 10; before++)
        check_order_of_sleepers(UINT32_MAX - before);
}

/* Woken early again and again from a wait with a far deadline, then asleep for a moment. */
static void wait_long_sleep_short(struct c_task *self)
{
    struct ml_hub *hub = hub_of(self);
    for (int i = 0; i < self->number; i++) {
        assert_int_equal(ml_wait(hub, &outer, 0, self->data, in_ms(3600 * 1000)), 0);
        assert_int_equal(ml_sleep_until(hub, ml_clock_now() + 1000), 0);
    }
}

static void wake_until_over(struct c_task *self)
{
    struct c_task *other = self + 1;
    while (other->task.state != ML_TASK_ENDED) {
        ml_wake_first(hub_of(self), self->data);
        assert_int_equal(ml_yield(hub_of(self)), 0);
    }
}

static void test_far_deadlines_that_never_come_do_not_pile_up(void **state)
{
    /* A connection with a long timeout that also sleeps a little after each request left one entry
     * per request in the heap until the long timeout was over. */
    (void)state;
    struct ml_hub hub;
    struct ml_link queue;
    struct c_task tasks[2] = {{.number = 0}, {.number = 3000}};
    open_hub(&hub);
    ml_list_init(&queue);
    spawn(&hub, &tasks[0], wake_until_over, &queue);
    spawn(&hub, &tasks[1], wait_long_sleep_short, &queue);
    assert_int_equal(run_all(&hub), 0);
    assert_true(hub.deadlines.timers.capacity <= 1024);
    close_hub(&hub);
}

static void sleep_for_an_hour(struct c_task *self)
{
    self->result = ml_sleep_until(hub_of(self), in_ms(3600 * 1000));
}

enum { BATCH = 100 };

/* Runs behind a batch of sleepers: cancels each once it sleeps. */
static void cancel_batch(struct c_task *self)
{
    struct c_task *tasks = self->data;
    for (int i = 0; i < BATCH; i++) {
        let_wait(self, &tasks[i]);
        ml_task_cancel(&tasks[i].task);
    }
}

static void test_timers_of_ended_tasks_are_swept(void **state)
{
    (void)state;
    struct ml_hub hub;
    static struct c_task tasks[BATCH];
    struct c_task canceller;
    open_hub(&hub);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < BATCH; i++)
            spawn(&hub, &tasks[i], sleep_for_an_hour, NULL);
        spawn(&hub, &canceller, cancel_batch, tasks);
        assert_int_equal(run_all(&hub), 0);
        for (int i = 0; i < BATCH; i++)
            assert_int_equal(tasks[i].result, -ECANCELED);
    }
    assert_true(hub.deadlines.timers.count <= 1024);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_moment_wakes_those_whose_deadline_is_not_after_it),
        cmocka_unit_test(test_the_nearest_deadline_is_told_and_there_is_none_without_waits),
        cmocka_unit_test(test_deadlines_at_both_ends_of_time_are_kept),
        cmocka_unit_test(test_an_entry_left_behind_serves_the_next_wait_with_a_later_deadline),
        cmocka_unit_test(test_an_entry_left_behind_does_not_bring_its_task_forward),
        cmocka_unit_test(
            test_an_earlier_deadline_comes_true_and_the_later_one_before_it_wakes_nobody),
        cmocka_unit_test(test_a_task_that_waits_without_a_deadline_or_does_not_wait_is_left_alone),
        cmocka_unit_test(test_a_deadline_that_was_forgotten_wakes_nobody),
        cmocka_unit_test(test_the_entry_of_an_ended_task_does_not_wake_the_next_one_in_its_slot),
        cmocka_unit_test(test_an_entry_whose_slot_is_free_is_taken_out),
        cmocka_unit_test(test_without_memory_a_task_has_no_deadline_and_the_others_keep_theirs),
        cmocka_unit_test(test_the_first_deadline_of_all_needs_memory_too),
        cmocka_unit_test(test_a_wait_whose_entry_is_early_enough_needs_no_memory),
        cmocka_unit_test(test_each_wait_ends_at_its_deadline_whatever_was_done_before),
        cmocka_unit_test(test_sleepers_wake_in_the_order_of_their_deadlines),
        cmocka_unit_test(test_sleepers_wake_in_order_when_the_generations_of_timers_come_round),
        cmocka_unit_test(test_far_deadlines_that_never_come_do_not_pile_up),
        cmocka_unit_test(test_timers_of_ended_tasks_are_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
