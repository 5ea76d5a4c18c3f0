/*
 * Observers: each event of a task is told once, in order, with the states that the header promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "hub/state/observer.h"
#include "hub/wait/wait.h"

#include <stdio.h>

struct diary {
    struct ml_observer observer;
    char text[256]; /* "<letter of the event><number of the task> " for each */
};

static void write_down(struct ml_observer *observer, struct ml_task *task, enum ml_task_event event)
{
    static const char letters[] = {[ML_TASK_SPAWNED] = 's',
                                   [ML_TASK_RESUMED] = 'r',
                                   [ML_TASK_PAUSED] = 'p',
                                   [ML_TASK_WOKEN] = 'w',
                                   [ML_TASK_FINISHED] = 'f'};
    struct diary *diary = ml_container_of(observer, struct diary, observer);
    size_t length = strlen(diary->text);
    snprintf(diary->text + length, sizeof diary->text - length, "%c%d ", letters[event],
             c_task_of(task)->number);
    if (event == ML_TASK_RESUMED)
        assert_ptr_equal(task->hub->current, task);
}

static void yield_once(struct c_task *self)
{
    assert_int_equal(ml_yield(hub_of(self)), 0);
}

static void join_other(struct c_task *self)
{
    struct c_task *other = self->data;
    assert_int_equal(ml_join(hub_of(self), &other->task, ML_FOREVER), 0);
}

static void test_each_event_is_told_in_order(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct diary diary = {.observer = {.on_event = write_down}};
    struct c_task one = {.number = 1}, two = {.number = 2};
    open_hub(&hub);
    hub.waits.spurious = true; /* the hostile build wakes the next wait but this one */
    ml_observer_add(&hub, &diary.observer);
    spawn(&hub, &one, join_other, &two);
    spawn(&hub, &two, yield_once, NULL);
    assert_int_equal(run_all(&hub), 0);
    assert_string_equal(diary.text, "s1 s2 r1 p1 r2 p2 r2 f2 w1 r1 f1 ");
    assert_int_equal(one.task.switches, 1);
    assert_int_equal(two.task.switches, 1);
    close_hub(&hub);
}

static void leave(struct ml_observer *observer, struct ml_task *task, enum ml_task_event event)
{
    write_down(observer, task, event);
    ml_observer_remove(task->hub, observer);
}

static void test_an_observer_may_remove_itself_and_others_go_on(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct diary first = {.observer = {.on_event = write_down}},
                 brief = {.observer = {.on_event = leave}},
                 last = {.observer = {.on_event = write_down}};
    struct c_task one = {.number = 1};
    open_hub(&hub);
    ml_observer_add(&hub, &first.observer);
    ml_observer_add(&hub, &brief.observer);
    ml_observer_add(&hub, &last.observer);
    spawn(&hub, &one, yield_once, NULL);
    assert_int_equal(run_all(&hub), 0);
    assert_string_equal(brief.text, "s1 ");
    assert_string_equal(first.text, "s1 r1 p1 r1 f1 ");
    assert_string_equal(last.text, first.text);
    ml_observer_remove(&hub, &brief.observer);
    ml_observer_remove(&hub, &last.observer);
    ml_observer_remove(&hub, &first.observer);
    assert_null(hub.observers);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_event_is_told_in_order),
        cmocka_unit_test(test_an_observer_may_remove_itself_and_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
