/*
 * The hub without Lua: tasks that are C functions take turns, run until a goal, a deadlock or a
 * deadline, and hand their stacks on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"
#include "hub_log.h"

#include "hub/loop/run.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

static const struct ml_wait_kind inner = {.text = "a test"};
static const struct ml_wait_kind outer = {.text = "the world", .external = true};

/* ---- turns ---- */

static void note_three_turns(struct c_task *self)
{
    for (int turn = 1; turn <= 3; turn++) {
        note(turn * 10 + self->number);
        assert_int_equal(ml_yield(hub_of(self)), 0);
    }
}

static void test_tasks_run_in_spawn_order_and_yield_in_turn(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    open_hub(&hub);
    clear_log();
    for (int i = 0; i < 3; i++)
        spawn(&hub, &tasks[i], note_three_turns, NULL);
    assert_int_equal(log_length, 0);
    assert_int_equal(run_all(&hub), 0);
    ASSERT_LOG(11, 12, 13, 21, 22, 23, 31, 32, 33);
    assert_int_equal(hub.tasks.alive, 0);
    close_hub(&hub);
}

static void keep_errno(struct c_task *self)
{
    errno = self->number;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ml_yield(hub_of(self)), 0);
        assert_int_equal(errno, self->number);
    }
}

static void test_each_task_has_its_own_errno(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[5];
    open_hub(&hub);
    for (int i = 0; i < 5; i++) {
        tasks[i].number = 100 + i;
        spawn(&hub, &tasks[i], keep_errno, NULL);
    }
    assert_int_equal(run_all(&hub), 0);
    close_hub(&hub);
}

/* ---- sleeping ---- */

static void yield_until_told(struct c_task *self)
{
    bool *over = self->data;
    while (!*over)
        assert_int_equal(ml_yield(hub_of(self)), 0);
}

static void sleep_and_tell(struct c_task *self)
{
    bool *over = self->data;
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(5)), 0);
    *over = true;
}

static void test_tasks_that_yield_forever_do_not_starve_a_sleeper(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[3];
    bool over = false;
    open_hub(&hub);
    spawn(&hub, &tasks[0], yield_until_told, &over);
    spawn(&hub, &tasks[1], yield_until_told, &over);
    spawn(&hub, &tasks[2], sleep_and_tell, &over);
    assert_int_equal(run_all(&hub), 0);
    close_hub(&hub);
}

static void sleep_for_an_hour(struct c_task *self)
{
    self->result = ml_sleep_until(hub_of(self), in_ms(3600 * 1000));
}

/* ---- the run itself ---- */

static void sleep_a_little(struct c_task *self)
{
    self->result = ml_sleep_until(hub_of(self), in_ms(20));
}

static void wait_for_nothing(struct c_task *self)
{
    do
        self->result = ml_wait(hub_of(self), self->data, 0, NULL, ML_FOREVER);
    while (self->result == 0);
}

static void test_a_deadlock_is_told_and_can_be_cancelled(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    open_hub(&hub);
    spawn(&hub, &tasks[0], wait_for_nothing, (void *)&inner);
    spawn(&hub, &tasks[1], wait_for_nothing, (void *)&inner);
    assert_int_equal(run_all(&hub), -EDEADLK);
    assert_int_equal(run_all(&hub), -EDEADLK);
    ml_task_cancel(&tasks[0].task);
    ml_task_cancel(&tasks[1].task);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[0].result, -ECANCELED);
    assert_int_equal(hub.waits.external, 0);
    close_hub(&hub);
}

static void test_no_deadlock_while_the_world_can_wake_somebody(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    open_hub(&hub);
    spawn(&hub, &tasks[0], wait_for_nothing, (void *)&inner);
    spawn(&hub, &tasks[1], wait_for_nothing, (void *)&outer);
    assert_int_equal(ml_hub_run(&hub, ML_UNTIL_ALL_ENDED, in_ms(10)), -ETIMEDOUT);
    ml_task_cancel(&tasks[1].task);
    assert_int_equal(run_all(&hub), -EDEADLK);
    ml_task_cancel(&tasks[0].task);
    assert_int_equal(run_all(&hub), 0);
    close_hub(&hub);
}

static void test_a_dropped_task_counts_no_longer(void **state)
{
    /* A task dropped while it waited for a descriptor went on counting as one that the world can
     * wake: the next deadlock was a silent hang. */
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    open_hub(&hub);
    spawn(&hub, &tasks[0], wait_for_nothing, (void *)&outer);
    assert_int_equal(ml_hub_run(&hub, ML_UNTIL_ALL_ENDED, in_ms(5)), -ETIMEDOUT);
    ml_task_drop(&hub, &tasks[0].task);
    assert_int_equal(hub.tasks.alive, 0);
    spawn(&hub, &tasks[1], wait_for_nothing, (void *)&inner);
    assert_int_equal(ml_hub_run(&hub, ML_UNTIL_ALL_ENDED, in_ms(500)), -EDEADLK);
    ml_task_cancel(&tasks[1].task);
    assert_int_equal(run_all(&hub), 0);
    close_hub(&hub);
}

static void test_a_run_ends_at_its_deadline_and_at_its_goal(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    bool over = false;
    open_hub(&hub);
    spawn_with(&hub, &tasks[0], yield_until_told, &over,
               (struct ml_spawn_options){.is_daemon = true});
    spawn(&hub, &tasks[1], sleep_a_little, NULL);
    ml_time deadline = in_ms(5);
    assert_int_equal(ml_hub_run(&hub, ML_UNTIL_FOREGROUND_ENDED, deadline), -ETIMEDOUT);
    assert_true(ml_clock_now() >= deadline);
    assert_int_equal(ml_hub_run(&hub, ML_UNTIL_FOREGROUND_ENDED, ML_FOREVER), 0);
    assert_int_equal(hub.tasks.alive, 1);
    over = true;
    assert_int_equal(run_all(&hub), 0);
    close_hub(&hub);
}

static void stop_hub(struct c_task *self)
{
    ml_hub_stop(hub_of(self));
    assert_int_equal(ml_yield(hub_of(self)), 0);
    self->result = 0;
}

static void test_stop_ends_the_run_before_the_next_task(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2] = {{.number = 1}, {.number = 2}};
    open_hub(&hub);
    clear_log();
    spawn(&hub, &tasks[0], stop_hub, NULL);
    spawn(&hub, &tasks[1], note_three_turns, NULL);
    assert_int_equal(run_all(&hub), -EINTR);
    assert_int_equal(log_length, 0);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[0].result, 0);
    close_hub(&hub);
}

/* ---- notices from other threads ---- */

static int notices;

static void count_notice(struct ml_hub *hub)
{
    notices++;
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;)
        ml_task_cancel(task);
}

static sem_t about_to_sleep;

static void say_and_sleep_for_an_hour(struct c_task *self)
{
    sem_post(&about_to_sleep);
    sleep_for_an_hour(self);
}

/* Before the poll or in its middle: it ends either way. */
static void *notify(void *hub)
{
    while (sem_wait(&about_to_sleep) != 0)
        ;
    ml_hub_notify(hub);
    return NULL;
}

static void test_a_notice_from_another_thread_ends_the_poll(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task task;
    pthread_t thread;
    open_hub(&hub);
    hub.hooks.noticed = count_notice;
    notices = 0;
    assert_int_equal(sem_init(&about_to_sleep, 0, 0), 0);
    spawn(&hub, &task, say_and_sleep_for_an_hour, NULL);
    assert_int_equal(pthread_create(&thread, NULL, notify, &hub), 0);
    assert_int_equal(run_all(&hub), 0);
    pthread_join(thread, NULL);
    assert_true(notices >= 1);
    assert_int_equal(task.result, -ECANCELED);
    close_hub(&hub);
}

/* ---- stacks ---- */

static void end_at_once(struct c_task *self)
{
    self->result = 0;
}

static void test_ten_thousand_tasks_that_never_wait_share_one_stack(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct ml_hub hub;
    struct c_task *tasks = calloc(COUNT, sizeof *tasks);
    open_hub(&hub);
    for (int i = 0; i < COUNT; i++)
        spawn(&hub, &tasks[i], end_at_once, NULL);
    assert_int_equal(run_all(&hub), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(tasks[i].result, 0);
    if (!hub.bank.all_private)
        assert_true(hub.bank.made <= 2);
    free(tasks);
    close_hub(&hub);
}

static void yield_once_with_locals(struct c_task *self)
{
    volatile unsigned char locals[600];
    memset((void *)locals, self->number & 0xff, sizeof locals);
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(1)), 0);
    for (size_t i = 0; i < sizeof locals; i++)
        assert_int_equal(locals[i], self->number & 0xff);
    self->result = 0;
}

static void test_ten_thousand_tasks_keep_their_locals_on_few_stacks(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct ml_hub hub;
    struct c_task *tasks = calloc(COUNT, sizeof *tasks);
    open_hub(&hub);
    for (int i = 0; i < COUNT; i++) {
        tasks[i].number = i;
        spawn(&hub, &tasks[i], yield_once_with_locals, NULL);
    }
    assert_int_equal(run_all(&hub), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(tasks[i].result, 0);
    assert_true(hub.bank.made <= hub.bank.limit);
    free(tasks);
    close_hub(&hub);
}

static void restart_once(struct c_task *self)
{
    if (++*(int *)self->data == 1)
        ml_task_restart(hub_of(self));
    self->result = 0;
}

static void test_a_task_that_restarts_runs_its_body_again(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    int runs = 0;
    int private_runs = 0;
    open_hub(&hub);
    spawn(&hub, &tasks[0], restart_once, &runs);
    spawn_with(&hub, &tasks[1], restart_once, &private_runs,
               (struct ml_spawn_options){.private_stack = true});
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(runs, 2);
    assert_int_equal(private_runs, 2);
    assert_int_equal(tasks[0].result, 0);
    assert_int_equal(tasks[1].result, 0);
    close_hub(&hub);
}

/* A server whose 8,000 clients had gone kept the memory of their tasks, as nothing allocated any
 * more, and so nothing had the garbage collected. */
static int collections;

static bool count_collection(struct ml_hub *hub)
{
    (void)hub;
    collections++;
    return true;
}

static void end_now(struct c_task *self)
{
    (void)self;
}

static void sleep_for_long(struct c_task *self)
{
    self->result = ml_sleep_until(hub_of(self), in_ms(300));
}

static int collections_after(int ended)
{
    enum { MOST = 1000 };
    static struct c_task tasks[MOST], sleeper;
    struct ml_hub hub;
    open_hub(&hub);
    hub.hooks.collect = count_collection;
    collections = 0;
    for (int i = 0; i < ended; i++)
        spawn(&hub, &tasks[i], end_now, NULL);
    spawn(&hub, &sleeper, sleep_for_long, NULL);
    assert_int_equal(run_all(&hub), 0);
    close_hub(&hub);
    return collections;
}

static void test_garbage_is_collected_in_a_quiet_moment_after_many_tasks_have_ended(void **state)
{
    (void)state;
    assert_int_equal(collections_after(1000), 1);
    assert_int_equal(collections_after(10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_run_in_spawn_order_and_yield_in_turn),
        cmocka_unit_test(test_each_task_has_its_own_errno),
        cmocka_unit_test(test_tasks_that_yield_forever_do_not_starve_a_sleeper),
        cmocka_unit_test(test_a_deadlock_is_told_and_can_be_cancelled),
        cmocka_unit_test(test_no_deadlock_while_the_world_can_wake_somebody),
        cmocka_unit_test(test_a_dropped_task_counts_no_longer),
        cmocka_unit_test(test_a_run_ends_at_its_deadline_and_at_its_goal),
        cmocka_unit_test(test_stop_ends_the_run_before_the_next_task),
        cmocka_unit_test(test_a_notice_from_another_thread_ends_the_poll),
        cmocka_unit_test(test_ten_thousand_tasks_that_never_wait_share_one_stack),
        cmocka_unit_test(test_ten_thousand_tasks_keep_their_locals_on_few_stacks),
        cmocka_unit_test(test_a_task_that_restarts_runs_its_body_again),
        cmocka_unit_test(test_garbage_is_collected_in_a_quiet_moment_after_many_tasks_have_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
