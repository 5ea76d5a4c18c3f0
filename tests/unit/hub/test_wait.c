/*
 * The wait primitive: what ends a wait and what it tells, that it leaves nothing behind however it
 * ends, and the three waits that are made of it: for a grant, for a moment, for the end of a task.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "child_process.h"
#include "failing_calls.h"
#include "hub_fixture.h"
#include "hub_log.h"

#include "base/hostile.h"
#include "hub/state/ready.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/switch/switch.h"
#include "hub/wait/wait.h"

#include <errno.h>

static const struct ml_wait_kind inner = {.text = "a test"};
static const struct ml_wait_kind outer = {.text = "the world", .external = true};

/* The calls that wait, as one call each: for nothing that ever comes. */
static int call_wait(struct ml_hub *hub, struct ml_link *queue, ml_time deadline)
{
    int error;
    do
        error = ml_wait(hub, &outer, 0, queue, deadline);
    while (error == 0);
    return error;
}

static int call_wait_granted(struct ml_hub *hub, struct ml_link *queue, ml_time deadline)
{
    return ml_wait_granted(hub, &outer, 0, queue, 7, deadline);
}

static int call_sleep(struct ml_hub *hub, struct ml_link *queue, ml_time deadline)
{
    (void)queue;
    return ml_sleep_until(hub, deadline);
}

static int call_join(struct ml_hub *hub, struct ml_link *queue, ml_time deadline)
{
    (void)queue;
    return ml_join(hub, hub->current, deadline); /* the caller itself: it never ends meanwhile */
}

static int (*const calls[])(struct ml_hub *, struct ml_link *,
                            ml_time) = {call_wait, call_wait_granted, call_sleep, call_join};

enum { CALLS = sizeof calls / sizeof *calls };

/* ---- what shows of a wait ---- */

struct pair {
    struct ml_link queue;
    struct c_task tasks[2]; /* one that waits, and one that looks at it */
    bool is_over;
};

static void wait_until_over(struct c_task *self)
{
    struct pair *pair = self->data;
    self->task.computed = 7;
    while (!pair->is_over)
        assert_int_equal(ml_wait(hub_of(self), &outer, 42, &pair->queue, ML_FOREVER), 0);
    assert_int_equal(self->task.computed, 0);
    assert_false(ml_link_is_in_list(&self->task.waiter.link));
    assert_int_equal(self->task.state, ML_TASK_RUNNING);
    self->result = 0;
}

static void look_and_wake(struct c_task *self)
{
    struct pair *pair = self->data;
    const struct ml_task *target = &pair->tasks[0].task;
    let_wait(self, &pair->tasks[0]);
    assert_ptr_equal(target->waits_for, &outer);
    assert_int_equal(target->waits_on, 42);
    assert_ptr_equal(pair->queue.next, &target->waiter.link);
    assert_int_equal(hub_of(self)->waits.external, 1);
    assert_true(target->deadline == ML_FOREVER);
    pair->is_over = true;
    assert_true(ml_wake_first(hub_of(self), &pair->queue));
    assert_int_equal(target->state, ML_TASK_READY);
    assert_true(ml_list_is_empty(&pair->queue));
}

/* Runs one task that waits and one that does something about it. */
static void run_pair(struct pair *pair, void (*wait)(struct c_task *), void (*act)(struct c_task *))
{
    struct ml_hub hub;
    open_hub(&hub);
    ml_list_init(&pair->queue);
    clear_log();
    spawn(&hub, &pair->tasks[0], wait, pair);
    spawn(&hub, &pair->tasks[1], act, pair);
    assert_int_equal(run_all(&hub), 0);
    assert_true(ml_list_is_empty(&pair->queue));
    assert_int_equal(hub.waits.external, 0);
    close_hub(&hub);
}

static void test_a_wait_shows_what_it_is_for_and_ends_when_it_is_woken(void **state)
{
    (void)state;
    struct pair pair = {.is_over = false};
    run_pair(&pair, wait_until_over, look_and_wake);
    assert_int_equal(pair.tasks[0].result, 0);
}

static void sleep_inside(struct c_task *self)
{
    struct pair *pair = self->data;
    while (!pair->is_over)
        self->result = ml_wait(hub_of(self), &inner, 0, NULL,
                               self->number == 0 ? ML_FOREVER : in_ms(3600 * 1000));
}

static void count_external(struct c_task *self)
{
    struct pair *pair = self->data;
    let_wait(self, &pair->tasks[0]);
    note((int)hub_of(self)->waits.external);
    pair->is_over = true;
    ml_task_wake(&pair->tasks[0].task, ML_WAKE_EVENT);
}

/* Of a kind that only tasks can end: it counts as one that the clock ends. */
static void test_a_wait_with_a_deadline_is_one_that_the_world_can_end(void **state)
{
    (void)state;
    struct pair without = {.tasks = {{.number = 0}}}, with = {.tasks = {{.number = 1}}};
    run_pair(&without, sleep_inside, count_external);
    ASSERT_LOG(0);
    run_pair(&with, sleep_inside, count_external);
    ASSERT_LOG(1);
}

/* ---- waits that do not begin ---- */

static void note_that_others_ran(struct c_task *self)
{
    *(bool *)self->data = true;
}

/* Runs `run` with a bool that another task, which is ready, sets once it runs. */
static void run_beside_ready_task(void (*run)(struct c_task *self))
{
    struct ml_hub hub;
    struct c_task tasks[2];
    bool others_ran = false;
    open_hub(&hub);
    spawn(&hub, &tasks[0], run, &others_ran);
    spawn(&hub, &tasks[1], note_that_others_ran, &others_ran);
    assert_int_equal(run_all(&hub), 0);
    assert_true(others_ran);
    assert_int_equal(hub.waits.external, 0);
    close_hub(&hub);
}

/* Each call at once, in a queue where nobody stands afterwards. */
static void assert_each_refused(struct c_task *self, ml_time deadline, int error)
{
    static struct ml_link queue;
    ml_list_init(&queue);
    for (int i = 0; i < CALLS; i++) {
        int expected = error == -ETIMEDOUT && calls[i] == call_sleep ? 0 : error;
        assert_int_equal(calls[i](hub_of(self), &queue, deadline), expected);
        assert_true(ml_list_is_empty(&queue));
        assert_false(*(bool *)self->data);
        assert_int_equal(self->task.state, ML_TASK_RUNNING);
        assert_false(self->task.is_joined);
    }
}

static void never_wait(struct c_task *self)
{
    assert_each_refused(self, ML_NEVER_WAIT, -ETIMEDOUT);
    ml_task_cancel(&self->task);
    assert_each_refused(self, ML_NEVER_WAIT, -ETIMEDOUT);
}

static void test_a_call_that_may_not_wait_neither_parks_nor_looks_at_scopes(void **state)
{
    (void)state;
    run_beside_ready_task(never_wait);
}

static void wait_cancelled(struct c_task *self)
{
    ml_task_cancel(&self->task);
    assert_each_refused(self, ML_FOREVER, -ECANCELED);
    assert_each_refused(self, in_ms(3600 * 1000), -ECANCELED);
    assert_each_refused(self, ML_NEVER_WAIT + 1, -ECANCELED);
}

static void test_a_cancelled_task_does_not_park(void **state)
{
    (void)state;
    run_beside_ready_task(wait_cancelled);
}

static void wait_in_expired_scope(struct c_task *self)
{
    struct ml_scope *scope = ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, ml_clock_now());
    assert_each_refused(self, ML_FOREVER, -ECANCELED);
    assert_true(ml_scope_close(hub_of(self), scope).expired);
}

static void test_a_task_whose_scope_has_expired_does_not_park(void **state)
{
    (void)state;
    run_beside_ready_task(wait_in_expired_scope);
}

static void wait_without_memory(struct c_task *self)
{
    fail_calls(FAIL_MEMORY, 1, CALLS);
    assert_each_refused(self, in_ms(3600 * 1000), -ENOMEM);
    assert_int_equal(end_failing(), CALLS);
    struct ml_scope *scope = ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, in_ms(3600 * 1000));
    fail_calls(FAIL_MEMORY, 1, CALLS);
    assert_each_refused(self, ML_FOREVER, -ENOMEM);
    assert_int_equal(end_failing(), CALLS);
    assert_false(ml_scope_close(hub_of(self), scope).expired);
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(1)), 0);
}

static void test_a_wait_without_room_for_its_deadline_does_not_begin(void **state)
{
    (void)state;
    run_beside_ready_task(wait_without_memory);
}

static int wait_in_child(void *task)
{
    assert_each_refused(task, ML_FOREVER, -ECHILD);
    assert_each_refused(task, in_ms(3600 * 1000), -ECHILD);
    return 0;
}

static void fork_and_wait(struct c_task *self)
{
    assert_true(exited_with(run_in_child(wait_in_child, self), 0));
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(1)), 0);
}

static void test_nothing_is_waited_for_in_a_process_that_the_task_forked(void **state)
{
    (void)state;
    run_beside_ready_task(fork_and_wait);
}

/* ---- deadlines and cancellation ---- */

static void let_deadlines_pass(struct c_task *self)
{
    static struct ml_link queue;
    ml_list_init(&queue);
    for (int i = 0; i < CALLS; i++) {
        int expected = calls[i] == call_sleep ? 0 : -ETIMEDOUT;
        ml_time deadline = in_ms(3);
        assert_int_equal(calls[i](hub_of(self), &queue, ML_NEVER_WAIT + 1), expected);
        assert_int_equal(calls[i](hub_of(self), &queue, deadline), expected);
        assert_true(ml_clock_now() >= deadline);
        assert_int_equal(calls[i](hub_of(self), &queue, deadline), expected);
        assert_true(ml_list_is_empty(&queue));
        assert_int_equal(self->task.granted, 0);
        assert_false(self->task.is_joined);
    }
    assert_int_equal(ml_cancel_point(hub_of(self)), 0);
}

static void test_each_wait_ends_at_its_deadline_and_leaves_its_queue(void **state)
{
    (void)state;
    run_in_task(let_deadlines_pass, NULL);
}

static void let_scopes_expire(struct c_task *self)
{
    static struct ml_link queue;
    ml_list_init(&queue);
    for (int i = 0; i < CALLS; i++) {
        ml_time deadline = in_ms(3);
        struct ml_scope *scope = ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, deadline);
        assert_int_equal(calls[i](hub_of(self), &queue, in_ms(3600 * 1000)), -ECANCELED);
        assert_true(ml_clock_now() >= deadline);
        assert_true(ml_list_is_empty(&queue));
        assert_true(ml_scope_close(hub_of(self), scope).expired);
    }
}

static void test_the_deadline_of_a_scope_ends_each_wait_inside_as_a_cancellation(void **state)
{
    (void)state;
    run_in_task(let_scopes_expire, NULL);
}

static void prefer_own_deadline(struct c_task *self)
{
    struct ml_hub *hub = hub_of(self);
    struct ml_scope *scope = ml_scope_open(hub, ML_SCOPE_PLAIN, in_ms(20000));
    assert_int_equal(call_wait(hub, NULL, in_ms(2)), -ETIMEDOUT);
    assert_int_equal(ml_cancel_point(hub), 0);
    ml_scope_close(hub, scope);
}

static void test_the_deadline_of_a_wait_is_no_cancellation(void **state)
{
    (void)state;
    run_in_task(prefer_own_deadline, NULL);
}

static void wait_until_cancelled(struct c_task *self)
{
    struct pair *pair = self->data;
    struct ml_scope *scope = ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, ML_FOREVER);
    self->result = calls[self->number](hub_of(self), &pair->queue, in_ms(3600 * 1000));
    assert_false(ml_scope_close(hub_of(self), scope).expired);
    assert_true(ml_list_is_empty(&pair->queue));
    assert_int_equal(self->task.granted, 0);
    assert_false(self->task.is_joined);
}

/* What is granted after that is not lost on the cancelled one. */
static void cancel_then_grant(struct c_task *self)
{
    struct pair *pair = self->data;
    let_wait(self, &pair->tasks[0]);
    ml_task_cancel(&pair->tasks[0].task);
    assert_null(ml_first_waiter(hub_of(self), &pair->queue));
    assert_false(ml_wake_first(hub_of(self), &pair->queue));
}

static void test_a_cancellation_ends_each_wait_which_leaves_its_queue(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        struct pair pair = {.tasks = {{.number = i}}};
        run_pair(&pair, wait_until_cancelled, cancel_then_grant);
        assert_int_equal(pair.tasks[0].result, -ECANCELED);
    }
}

/* A wait that was told its event returns it, though a cancellation came before the task ran. */
static void wait_for_event(struct c_task *self)
{
    bool *happened = self->data;
    self->result = 1;
    while (!*happened) {
        self->result = ml_wait(hub_of(self), &outer, 0, NULL, ML_FOREVER);
        if (self->result != 0)
            return;
    }
    assert_int_equal(ml_cancel_point(hub_of(self)), -ECANCELED);
}

static void wake_then_cancel(struct c_task *self)
{
    struct c_task *target = self - 1;
    let_wait(self, target);
    *(bool *)self->data = true;
    ml_task_wake(&target->task, ML_WAKE_EVENT);
    ml_task_cancel(&target->task);
}

static void test_a_wake_up_that_came_first_wins_over_a_cancellation(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    bool happened = false;
    open_hub(&hub);
    spawn(&hub, &tasks[0], wait_for_event, &happened);
    spawn(&hub, &tasks[1], wake_then_cancel, &happened);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[0].result, 0);
    close_hub(&hub);
}

static void wait_for_5_ms(struct c_task *self)
{
    struct pair *pair = self->data;
    ml_time deadline = in_ms(5);
    self->result = 0;
    while (!pair->is_over && self->result == 0)
        self->result = ml_wait(hub_of(self), &outer, 0, &pair->queue, deadline);
}

/* The event comes first, then the deadline passes, and only then does the task run. */
static void wake_and_let_deadline_pass(struct c_task *self)
{
    struct pair *pair = self->data;
    let_wait(self, &pair->tasks[0]);
    pair->is_over = true;
    ml_task_wake(&pair->tasks[0].task, ML_WAKE_EVENT);
    ml_time later = in_ms(20);
    while (ml_clock_now() < later)
        ;
}

static void test_a_wake_up_that_came_first_wins_over_a_deadline(void **state)
{
    (void)state;
    struct pair pair = {.is_over = false};
    run_pair(&pair, wait_for_5_ms, wake_and_let_deadline_pass);
    assert_int_equal(pair.tasks[0].result, 0);
}

/* ---- queues ---- */

enum { WAITERS = 10 };

struct queue_test {
    struct ml_link queue;
    bool granted[WAITERS];
    struct c_task tasks[WAITERS + 1]; /* the last one wakes the others */
};

/* Hostile: a spurious wake-up moves the waiter to the end of the queue; the order is not promised.
 */
static void wait_for_grant(struct c_task *self)
{
    struct queue_test *test = self->data;
    while (!test->granted[self->number])
        assert_int_equal(ml_wait(hub_of(self), &outer, 0, &test->queue, ML_FOREVER), 0);
    note(self->number);
}

static void grant_all(struct c_task *self)
{
    struct queue_test *test = self->data;
    for (int i = 0; i < WAITERS; i++) {
        while (ml_list_is_empty(&test->queue))
            assert_int_equal(ml_yield(hub_of(self)), 0);
        struct ml_task *first = ml_container_of(test->queue.next, struct ml_task, waiter.link);
        test->granted[c_task_of(first)->number] = true;
        assert_true(ml_wake_first(hub_of(self), &test->queue));
    }
    assert_false(ml_wake_first(hub_of(self), &test->queue));
}

/* Tasks wait in a queue until wake() has woken all; logs their numbers. */
static void run_queue(void (*wake)(struct c_task *self))
{
    struct ml_hub hub;
    struct queue_test test = {.granted = {false}};
    open_hub(&hub);
    ml_list_init(&test.queue);
    clear_log();
    for (int i = 0; i < WAITERS; i++) {
        test.tasks[i].number = i;
        spawn(&hub, &test.tasks[i], wait_for_grant, &test);
    }
    spawn(&hub, &test.tasks[WAITERS], wake, &test);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(log_length, WAITERS);
    close_hub(&hub);
}

static void test_a_wait_queue_is_first_come_first_served(void **state)
{
    (void)state;
    run_queue(grant_all);
    for (int i = 0; i < WAITERS && !ML_IS_HOSTILE; i++)
        assert_int_equal(logged[i], i);
}

static void wake_all_when_parked(struct c_task *self)
{
    struct queue_test *test = self->data;
    for (int i = 0; i < WAITERS; i++)
        let_wait(self, &test->tasks[i]);
    memset(test->granted, true, sizeof test->granted);
    ml_wake_all(hub_of(self), &test->queue);
    assert_true(ml_list_is_empty(&test->queue));
}

static void test_wake_all_wakes_everybody(void **state)
{
    (void)state;
    run_queue(wake_all_when_parked);
}

/* ---- grants ---- */

struct grant_test {
    struct ml_link queue;
    struct c_task tasks[WAITERS + 1]; /* the last one grants */
};

static void wait_for_gift(struct c_task *self)
{
    struct grant_test *test = self->data;
    uint16_t value = (uint16_t)(100 + self->number);
    self->result = ml_wait_granted(hub_of(self), &inner, 0, &test->queue, value, ML_FOREVER);
    if (self->result != 0)
        return;
    assert_int_equal(self->task.granted, 1);
    note(self->task.waiter.value);
    assert_int_equal(ml_wait_granted(hub_of(self), &inner, 0, &test->queue, 1, in_ms(1)),
                     -ETIMEDOUT);
    assert_int_equal(self->task.granted, 0);
}

static void run_grants(void (*grant)(struct c_task *self))
{
    static struct grant_test test;
    struct ml_hub hub;
    open_hub(&hub);
    ml_list_init(&test.queue);
    clear_log();
    for (int i = 0; i < WAITERS; i++) {
        test.tasks[i].number = i;
        spawn(&hub, &test.tasks[i], wait_for_gift, &test);
    }
    spawn(&hub, &test.tasks[WAITERS], grant, &test);
    assert_int_equal(run_all(&hub), 0);
    assert_true(ml_list_is_empty(&test.queue));
    close_hub(&hub);
}

/* Also in the hostile build: nothing but a grant ends such a wait. */
static void give_in_turn(struct c_task *self)
{
    struct grant_test *test = self->data;
    let_wait(self, &test->tasks[WAITERS - 1]);
    for (int i = 0; i < WAITERS; i++) {
        struct ml_waiter *first = ml_first_waiter(hub_of(self), &test->queue);
        assert_ptr_equal(first, &test->tasks[i].task.waiter);
        assert_int_equal(first->value, 100 + i);
        assert_int_equal(test->tasks[i].task.granted, 0);
        ml_waiter_grant(hub_of(self), first);
        assert_int_equal(test->tasks[i].task.granted, 1);
    }
}

static void test_gifts_are_granted_in_the_order_of_the_waits(void **state)
{
    (void)state;
    run_grants(give_in_turn);
    ASSERT_LOG(100, 101, 102, 103, 104, 105, 106, 107, 108, 109);
}

/* Every other one is cancelled: what is given goes to those who wait. */
static void give_around_cancelled(struct c_task *self)
{
    struct grant_test *test = self->data;
    let_wait(self, &test->tasks[WAITERS - 1]);
    for (int i = 0; i < WAITERS; i += 2)
        ml_task_cancel(&test->tasks[i].task);
    for (int i = 1; i < WAITERS; i += 2)
        assert_true(ml_wake_first(hub_of(self), &test->queue));
    assert_false(ml_wake_first(hub_of(self), &test->queue));
    for (int i = 1; i < WAITERS; i += 2)
        ml_task_wake(&test->tasks[i].task, ML_WAKE_CANCEL); /* too late */
}

static void test_a_gift_goes_to_the_first_that_still_waits_and_stays_there(void **state)
{
    (void)state;
    run_grants(give_around_cancelled);
    ASSERT_LOG(101, 103, 105, 107, 109);
}

static void turn_away(struct c_task *self)
{
    struct grant_test *test = self->data;
    let_wait(self, &test->tasks[WAITERS - 1]);
    ml_turn_all_away(hub_of(self), &test->queue);
}

static void test_those_that_are_turned_away_see_it_at_their_value(void **state)
{
    (void)state;
    run_grants(turn_away);
    assert_int_equal(log_length, WAITERS);
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(logged[i], ML_WAITER_CLOSED);
}

/* ---- sleeping ---- */

static void sleep_for_50_ms(struct c_task *self)
{
    struct pair *pair = self->data;
    ml_time deadline = in_ms(50);
    self->result = ml_sleep_until(hub_of(self), deadline);
    assert_true(ml_clock_now() >= deadline);
    pair->is_over = true;
}

static void wake_sleeper(struct c_task *self)
{
    struct pair *pair = self->data;
    let_wait(self, &pair->tasks[0]);
    for (int i = 0; i < 10; i++) {
        assert_false(pair->is_over);
        let_wait(self, &pair->tasks[0]);
        ml_task_wake(&pair->tasks[0].task, ML_WAKE_EVENT);
        assert_int_equal(ml_yield(hub_of(self)), 0);
    }
}

static void test_a_sleeper_that_is_woken_for_nothing_sleeps_on(void **state)
{
    (void)state;
    struct pair pair = {.is_over = false};
    run_pair(&pair, sleep_for_50_ms, wake_sleeper);
    assert_int_equal(pair.tasks[0].result, 0);
}

/* ---- lockstep ---- */

/* A task was woken for nothing each time just after it had begun to wait: whenever the hub looked
 * for deadlines that had come, the task was about to run, and it waited on for ever. */
static void wait_in_lockstep(struct c_task *self)
{
    struct pair *pair = self->data;
    ml_time deadline = in_ms(5);
    self->result = 0;
    while (!pair->is_over && self->result == 0)
        self->result = ml_wait(hub_of(self), &outer, 0, &pair->queue, deadline);
    pair->is_over = true;
}

static void sleep_in_lockstep(struct c_task *self)
{
    struct pair *pair = self->data;
    self->result = ml_sleep_until(hub_of(self), in_ms(5)) == 0 ? -ETIMEDOUT : 0;
    pair->is_over = true;
}

static void wait_in_lockstep_in_a_scope(struct c_task *self)
{
    struct pair *pair = self->data;
    struct ml_scope *scope = ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, in_ms(5));
    int result = 0;
    while (!pair->is_over && result == 0)
        result = ml_wait(hub_of(self), &outer, 0, &pair->queue, ML_FOREVER);
    bool has_expired = ml_scope_close(hub_of(self), scope).expired;
    self->result = result == -ECANCELED && has_expired ? -ETIMEDOUT : result;
    pair->is_over = true;
}

static void wake_in_lockstep(struct c_task *self)
{
    struct pair *pair = self->data;
    ml_time end = in_ms(5000);
    let_wait(self, &pair->tasks[0]);
    while (!pair->is_over && ml_clock_now() < end) {
        if (pair->tasks[0].task.state == ML_TASK_WAITING)
            ml_task_wake(&pair->tasks[0].task, ML_WAKE_EVENT);
        assert_int_equal(ml_yield(hub_of(self)), 0);
    }
    assert_true(pair->is_over);
}

static void test_a_deadline_comes_though_the_task_is_woken_for_nothing_each_time(void **state)
{
    (void)state;
    void (*const waits[])(struct c_task *) = {wait_in_lockstep, sleep_in_lockstep,
                                              wait_in_lockstep_in_a_scope};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        struct pair pair = {.is_over = false};
        run_pair(&pair, waits[i], wake_in_lockstep);
        assert_int_equal(pair.tasks[0].result, -ETIMEDOUT);
    }
}

/* A deadline that has passed before the wait begins does not keep others from running. */
static void wait_for_the_past(struct c_task *self)
{
    struct pair *pair = self->data;
    ml_time past = ml_clock_now() - 1;
    for (int i = 0; i < 10; i++)
        assert_int_equal(ml_sleep_until(hub_of(self), past), 0);
    pair->is_over = true;
    self->result = 0;
}

static void count_turns(struct c_task *self)
{
    struct pair *pair = self->data;
    int turns = 0;
    for (; !pair->is_over; turns++)
        assert_int_equal(ml_yield(hub_of(self)), 0);
    assert_true(turns >= 9);
}

static void test_a_sleep_until_the_past_is_a_turn_of_others(void **state)
{
    (void)state;
    struct pair pair = {.is_over = false};
    run_pair(&pair, wait_for_the_past, count_turns);
}

/* ---- joining ---- */

static void join_target(struct c_task *self)
{
    struct c_task *target = self->data;
    self->result = ml_join(hub_of(self), &target->task, ML_FOREVER);
    assert_int_equal(target->task.state, ML_TASK_ENDED);
}

static void join_for_a_moment(struct c_task *self)
{
    struct c_task *target = self->data;
    self->result = ml_join(hub_of(self), &target->task, in_ms(2));
}

static void sleep_a_little(struct c_task *self)
{
    self->result = ml_sleep_until(hub_of(self), in_ms(20));
}

static void test_join_returns_once_the_task_has_ended(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[4];
    open_hub(&hub);
    spawn(&hub, &tasks[1], join_target, &tasks[0]);
    spawn(&hub, &tasks[2], join_target, &tasks[0]);
    spawn(&hub, &tasks[3], join_for_a_moment, &tasks[0]);
    spawn(&hub, &tasks[0], sleep_a_little, NULL);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[1].result, 0);
    assert_int_equal(tasks[2].result, 0);
    assert_int_equal(tasks[3].result, -ETIMEDOUT);
    close_hub(&hub);
}

/* Each at once, with and without a time limit. */
static void join_the_ended(struct c_task *self)
{
    struct c_task *ended = self->data;
    while (ended->task.state != ML_TASK_ENDED)
        assert_int_equal(ml_yield(hub_of(self)), 0);
    ml_task_cancel(&self->task);
    assert_int_equal(ml_join(hub_of(self), &ended->task, ML_FOREVER), 0);
    self->result = ml_join(hub_of(self), &ended->task, ML_NEVER_WAIT);
}

static void end_now(struct c_task *self)
{
    self->result = 0;
}

static void test_a_task_that_has_ended_is_joined_at_once_even_by_a_cancelled_one(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    open_hub(&hub);
    spawn(&hub, &tasks[0], join_the_ended, &tasks[1]);
    spawn(&hub, &tasks[1], end_now, NULL);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[0].result, 0);
    close_hub(&hub);
}

static void join_and_note(struct c_task *self)
{
    join_target(self);
    note(self->number);
}

static void test_a_hundred_joiners_go_on_in_the_order_of_their_calls(void **state)
{
    (void)state;
    enum { JOINERS = 100 };
    static struct c_task tasks[JOINERS + 1];
    struct ml_hub hub;
    open_hub(&hub);
    clear_log();
    for (int i = 0; i < JOINERS; i++) {
        tasks[i].number = i;
        spawn(&hub, &tasks[i], join_and_note, &tasks[JOINERS]);
    }
    spawn(&hub, &tasks[JOINERS], sleep_a_little, NULL);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(log_length, JOINERS);
    for (int i = 0; i < JOINERS && !ML_IS_HOSTILE; i++)
        assert_int_equal(logged[i], i);
    close_hub(&hub);
}

static void sleep_until_nobody_joins(struct c_task *self)
{
    const struct c_task *joiners = self->data;
    while (joiners[0].task.state != ML_TASK_ENDED || joiners[1].task.state != ML_TASK_ENDED)
        assert_int_equal(ml_sleep_until(hub_of(self), in_ms(1)), 0);
    assert_false(self->task.is_joined);
}

/* The second one to give up is the last. */
static void join_in_turn(struct c_task *self)
{
    struct c_task *target = self->data;
    ml_time deadline = in_ms(self->number == 0 ? 2 : 10);
    self->result = ml_join(hub_of(self), &target->task, deadline);
    if (self->number == 0 && (self + 1)->task.state == ML_TASK_WAITING)
        assert_true(target->task.is_joined);
}

static void test_a_task_is_joined_until_the_last_that_joins_it_gives_up(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[3] = {{.number = 0}, {.number = 1}};
    open_hub(&hub);
    spawn(&hub, &tasks[0], join_in_turn, &tasks[2]);
    spawn(&hub, &tasks[1], join_in_turn, &tasks[2]);
    spawn(&hub, &tasks[2], sleep_until_nobody_joins, tasks);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[0].result, -ETIMEDOUT);
    assert_int_equal(tasks[1].result, -ETIMEDOUT);
    close_hub(&hub);
}

static void sleep_for_ever(struct c_task *self)
{
    self->result = ml_sleep_until(hub_of(self), ML_FOREVER);
}

static void drop_target(struct c_task *self)
{
    struct c_task *target = self->data;
    let_wait(self, target);
    ml_task_drop(hub_of(self), &target->task);
}

static void test_a_task_that_is_dropped_is_joined(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[3];
    open_hub(&hub);
    spawn(&hub, &tasks[0], sleep_for_ever, NULL);
    spawn(&hub, &tasks[1], join_target, &tasks[0]);
    spawn(&hub, &tasks[2], drop_target, &tasks[0]);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[0].result, 1);
    assert_int_equal(tasks[1].result, 0);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wait_shows_what_it_is_for_and_ends_when_it_is_woken),
        cmocka_unit_test(test_a_wait_with_a_deadline_is_one_that_the_world_can_end),
        cmocka_unit_test(test_a_call_that_may_not_wait_neither_parks_nor_looks_at_scopes),
        cmocka_unit_test(test_a_cancelled_task_does_not_park),
        cmocka_unit_test(test_a_task_whose_scope_has_expired_does_not_park),
        cmocka_unit_test(test_a_wait_without_room_for_its_deadline_does_not_begin),
        cmocka_unit_test(test_nothing_is_waited_for_in_a_process_that_the_task_forked),
        cmocka_unit_test(test_each_wait_ends_at_its_deadline_and_leaves_its_queue),
        cmocka_unit_test(test_the_deadline_of_a_scope_ends_each_wait_inside_as_a_cancellation),
        cmocka_unit_test(test_the_deadline_of_a_wait_is_no_cancellation),
        cmocka_unit_test(test_a_cancellation_ends_each_wait_which_leaves_its_queue),
        cmocka_unit_test(test_a_wake_up_that_came_first_wins_over_a_cancellation),
        cmocka_unit_test(test_a_wake_up_that_came_first_wins_over_a_deadline),
        cmocka_unit_test(test_a_wait_queue_is_first_come_first_served),
        cmocka_unit_test(test_wake_all_wakes_everybody),
        cmocka_unit_test(test_gifts_are_granted_in_the_order_of_the_waits),
        cmocka_unit_test(test_a_gift_goes_to_the_first_that_still_waits_and_stays_there),
        cmocka_unit_test(test_those_that_are_turned_away_see_it_at_their_value),
        cmocka_unit_test(test_a_sleeper_that_is_woken_for_nothing_sleeps_on),
        cmocka_unit_test(test_a_deadline_comes_though_the_task_is_woken_for_nothing_each_time),
        cmocka_unit_test(test_a_sleep_until_the_past_is_a_turn_of_others),
        cmocka_unit_test(test_join_returns_once_the_task_has_ended),
        cmocka_unit_test(test_a_task_that_has_ended_is_joined_at_once_even_by_a_cancelled_one),
        cmocka_unit_test(test_a_hundred_joiners_go_on_in_the_order_of_their_calls),
        cmocka_unit_test(test_a_task_is_joined_until_the_last_that_joins_it_gives_up),
        cmocka_unit_test(test_a_task_that_is_dropped_is_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
