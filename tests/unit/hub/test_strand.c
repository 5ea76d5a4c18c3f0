/*
 * Strands: the chain of a task from the strand that runs down to its body, what each strand keeps
 * while it is suspended, and that the whole task waits when one of them does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "child_process.h"
#include "failing_calls.h"
#include "hub_log.h"
#include "random_sequence.h"
#include "strand_fixture.h"

#include "base/hostile.h"
#include "hub/state/scope.h"
#include "hub/wait/wait.h"

#include <errno.h>

static const struct ml_spawn_options shared, private = {.private_stack = true};

/* Runs on stacks that tasks share, and then on their own. */
static void run_on_both(void (*run)(struct c_task *self))
{
    clear_log();
    run_with_strands(run, shared);
    clear_log();
    run_with_strands(run, private);
}

/* Strands lie outside of frames: those of the body are moved when a strand needs its stack.
 * noinline: what is weighed inside lies below the caller's frame. */
static __attribute__((noinline)) void resume(struct c_strand *strand)
{
    assert_int_equal(ml_strand_resume(strand->hub, &strand->strand), 0);
}

static enum ml_strand_state state_of(const struct c_strand *strand)
{
    return ml_strand_state(&strand->strand);
}

/* ---- resume, leave, end ---- */

static void note_state(struct c_strand *self)
{
    const struct ml_task *task = self->hub->current;
    note(self->number);
    assert_int_equal(state_of(self), ML_STRAND_ACTIVE);
    assert_ptr_equal(task->strand, &self->strand);
    assert_ptr_equal(self->strand.resumer, self->data);
    assert_int_equal(task->depth, 1);
}

static void resume_twice(struct c_task *self)
{
    static struct c_strand strand;
    strand = new_strand(hub_of(self), note_state, &self->body, 1);
    assert_int_equal(state_of(&strand), ML_STRAND_UNBOUND);
    for (int i = 0; i < 2; i++) {
        resume(&strand);
        note(2);
        assert_int_equal(state_of(&strand), ML_STRAND_UNBOUND);
        assert_null(strand.strand.resumer);
        assert_ptr_equal(self->task.strand, &self->body);
        assert_int_equal(self->task.depth, 0);
    }
    ASSERT_LOG(1, 2, 1, 2);
}

static void test_a_strand_runs_to_its_end_then_its_resumer_goes_on_and_it_may_begin_anew(
    void **state)
{
    (void)state;
    run_on_both(resume_twice);
}

static void leave_three_times(struct c_strand *self)
{
    volatile int numbers[NUMBERS];
    fill_with_number(numbers, self->number);
    for (int i = 0; i < 3; i++) {
        note(10 * self->number + i);
        ml_strand_leave(self->hub);
        assert_true(holds_number(numbers, self->number));
        assert_int_equal(state_of(self), ML_STRAND_ACTIVE);
    }
}

static void take_turns_with_two(struct c_task *self)
{
    static struct c_strand a;
    a = new_strand(hub_of(self), leave_three_times, NULL, 1);
    static struct c_strand b;
    b = new_strand(hub_of(self), leave_three_times, NULL, 2);
    for (int i = 0; i < 3; i++) {
        resume(&a);
        resume(&b);
        assert_int_equal(state_of(&a), ML_STRAND_SUSPENDED);
        assert_int_equal(state_of(&b), ML_STRAND_SUSPENDED);
        assert_null(a.strand.resumer);
        assert_int_equal(self->task.depth, 0);
    }
    resume(&a);
    resume(&b);
    assert_int_equal(state_of(&a), ML_STRAND_UNBOUND);
    assert_int_equal(state_of(&b), ML_STRAND_UNBOUND);
    ASSERT_LOG(10, 20, 11, 21, 12, 22);
}

static void test_a_strand_goes_on_where_it_left_with_what_it_had(void **state)
{
    (void)state;
    run_on_both(take_turns_with_two);
}

/* ---- chains ---- */

enum { DEEP = 40, FRAME_KIB = 6 };

static struct c_strand links[DEEP + 1]; /* from 1 on: each resumes the next */

static uint32_t weights[DEEP + 1];

static __attribute__((noinline)) uint32_t weigh(const struct ml_hub *hub)
{
    return ml_strand_weight(hub);
}

static void resume_next(struct c_strand *self)
{
    char frame[FRAME_KIB * 1024];
    const struct ml_task *task = self->hub->current;
    memset(frame, self->number, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it is there */
    note(self->number);
    weights[self->number] = weigh(self->hub);
    assert_int_equal(task->depth, self->number);
    if (self->number < DEEP) {
        resume(&links[self->number + 1]);
        assert_int_equal(state_of(self), ML_STRAND_ACTIVE);
        assert_ptr_equal(task->strand, &self->strand);
        assert_int_equal(task->depth, self->number);
    }
    assert_int_equal(frame[0], self->number);
    note(-self->number);
}

static void resume_chain(struct c_task *self)
{
    for (int i = 1; i <= DEEP; i++)
        links[i] = new_strand(hub_of(self), resume_next, NULL, i);
    assert_int_equal(ml_strand_weight(hub_of(self)), 0);
    resume(&links[1]);
    assert_int_equal(log_length, 2 * DEEP);
    for (int i = 1; i <= DEEP; i++) {
        assert_int_equal(logged[i - 1], i);
        assert_int_equal(logged[2 * DEEP - i], -i);
        assert_int_equal(state_of(&links[i]), ML_STRAND_UNBOUND);
    }
}

static void test_a_chain_of_strands_unwinds_in_the_reverse_order(void **state)
{
    (void)state;
    run_on_both(resume_chain);
}

static void test_the_frames_of_a_chain_are_weighed_from_a_depth_on(void **state)
{
    (void)state;
    run_on_both(resume_chain);
    for (int i = 1; i < ML_STRAND_WEIGHED; i++)
        assert_int_equal(weights[i], 0);
    assert_true(weights[ML_STRAND_WEIGHED] >= FRAME_KIB);
    for (int i = ML_STRAND_WEIGHED + 1; i <= DEEP; i++) {
        assert_true(weights[i] >= weights[i - 1] + FRAME_KIB);
        assert_true(weights[i] <= weights[i - 1] + 2 * FRAME_KIB);
    }
}

static void leave_from_the_middle(struct c_strand *self)
{
    note(self->number);
    if (self->number == 1)
        resume(self->data);
    else
        ml_strand_leave(self->hub);
    note(10 + self->number);
}

/* The inner one leaves to the one that resumed it, and is resumed from another place. */
static void resume_the_inner_one_elsewhere(struct c_task *self)
{
    static struct c_strand inner;
    inner = new_strand(hub_of(self), leave_from_the_middle, NULL, 2);
    static struct c_strand outer;
    outer = new_strand(hub_of(self), leave_from_the_middle, &inner, 1);
    resume(&outer);
    assert_int_equal(state_of(&outer), ML_STRAND_UNBOUND);
    assert_int_equal(state_of(&inner), ML_STRAND_SUSPENDED);
    resume(&inner);
    assert_int_equal(state_of(&inner), ML_STRAND_UNBOUND);
    ASSERT_LOG(1, 2, 11, 12);
}

static void test_a_strand_leaves_to_the_one_that_resumed_it_last(void **state)
{
    (void)state;
    run_on_both(resume_the_inner_one_elsewhere);
}

static int leave_in_child(void *hub)
{
    ml_strand_leave(hub);
    return 0;
}

static int exit_in_child(void *hub)
{
    ml_strand_exit(hub);
    return 0;
}

static void leave_the_body(struct c_task *self)
{
    assert_true(died_by(run_in_child(leave_in_child, hub_of(self)), SIGABRT));
    assert_true(died_by(run_in_child(exit_in_child, hub_of(self)), SIGABRT));
}

static void test_the_body_of_a_task_has_nobody_to_leave_to(void **state)
{
    (void)state;
    run_with_strands(leave_the_body, shared);
}

/* ---- tasks ---- */

static void note_tasks(struct c_strand *self)
{
    volatile int numbers[NUMBERS];
    fill_with_number(numbers, self->number);
    for (;;) {
        note(c_task_of(self->hub->current)->number);
        ml_strand_leave(self->hub);
        assert_true(holds_number(numbers, self->number));
    }
}

static void resume_once(struct c_task *self)
{
    struct c_strand *strand = self->data;
    if (strand->hub == NULL)
        *strand = new_strand(hub_of(self), note_tasks, NULL, 5);
    resume(strand);
    assert_int_equal(self->task.depth, 0);
}

static void test_a_suspended_strand_goes_on_in_any_task_of_the_hub(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_strand strand = {.hub = NULL};
    struct c_task tasks[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    open_hub_with_strands(&hub);
    clear_log();
    for (int i = 0; i < 4; i++)
        spawn_with(&hub, &tasks[i], resume_once, &strand, i % 2 == 0 ? shared : private);
    assert_int_equal(run_all(&hub), 0);
    ASSERT_LOG(1, 2, 3, 4);
    assert_int_equal(state_of(&strand), ML_STRAND_SUSPENDED);
    ml_strand_drop(&hub, &strand.strand);
    close_hub(&hub);
}

static void sleep_and_note(struct c_strand *self)
{
    assert_int_equal(ml_sleep_until(self->hub, in_ms(10)), 0);
    note(1);
    *(int *)self->data = ml_sleep_until(self->hub, ML_FOREVER);
}

static void resume_sleeper(struct c_task *self)
{
    static struct c_strand strand;
    strand = new_strand(hub_of(self), sleep_and_note, &self->result, 1);
    resume(&strand);
    note(2);
}

static void run_meanwhile(struct c_task *self)
{
    struct c_task *other = self->data;
    let_wait(self, other);
    note(0);
    while (log_length < 2)
        assert_int_equal(ml_yield(hub_of(self)), 0);
    let_wait(self, other);
    ml_task_cancel(&other->task);
}

static void test_when_a_strand_waits_its_whole_task_does_and_no_other(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    open_hub_with_strands(&hub);
    clear_log();
    spawn(&hub, &tasks[0], resume_sleeper, NULL);
    spawn(&hub, &tasks[1], run_meanwhile, &tasks[0]);
    assert_int_equal(run_all(&hub), 0);
    ASSERT_LOG(0, 1, 2);
    assert_int_equal(tasks[0].result, -ECANCELED);
    close_hub(&hub);
}

static void look_at_stack(struct c_strand *self)
{
    *(bool *)self->data = ml_coro_is_private(&self->strand.coro);
    ml_strand_leave(self->hub);
    *(bool *)self->data = ml_coro_is_private(&self->strand.coro);
}

static void begin_strand(struct c_task *self)
{
    resume(self->data);
}

/* Begins a strand in a task of one kind and goes on with it in a task of the other. Whether the
 * strand that looks at its stack was on its own is told in *is_private, before and after. */
static void run_in_both_kinds(struct ml_hub *hub, struct c_strand *strand,
                              struct ml_spawn_options first, const bool *is_private, bool seen[2])
{
    struct ml_spawn_options kinds[2] = {first, {.private_stack = !first.private_stack}};
    for (int i = 0; i < 2; i++) {
        struct c_task task;
        spawn_with(hub, &task, begin_strand, strand, kinds[i]);
        assert_int_equal(run_all(hub), 0);
        seen[i] = *is_private;
    }
}

static void test_a_strand_stays_on_the_kind_of_stack_that_it_began_on(void **state)
{
    (void)state;
    struct ml_hub hub;
    open_hub_with_strands(&hub);
    for (int i = 0; i < 2; i++) {
        bool is_private = false, seen[2], expected = i == 1 || hub.bank.all_private;
        struct c_strand strand = new_strand(&hub, look_at_stack, &is_private, 1);
        run_in_both_kinds(&hub, &strand, i == 0 ? shared : private, &is_private, seen);
        assert_int_equal(seen[0], expected);
        assert_int_equal(seen[1], expected);
        assert_int_equal(state_of(&strand), ML_STRAND_UNBOUND);
    }
    close_hub(&hub);
}

static void leave_and_resume(struct c_strand *self)
{
    ml_strand_leave(self->hub);
    resume(self->data);
}

/* The task is of the one kind, the strand that resumes of the other. */
static void test_a_strand_begins_on_the_kind_of_stack_of_the_one_that_resumes_it(void **state)
{
    (void)state;
    struct ml_hub hub;
    open_hub_with_strands(&hub);
    for (int i = 0; i < 2; i++) {
        bool is_private = i == 0, seen[2];
        struct c_strand inner = new_strand(&hub, look_at_stack, &is_private, 1);
        struct c_strand strand = new_strand(&hub, leave_and_resume, &inner, 2);
        run_in_both_kinds(&hub, &strand, i == 0 ? shared : private, &is_private, seen);
        assert_int_equal(seen[1], i == 1 || hub.bank.all_private);
        ml_strand_drop(&hub, &inner.strand);
    }
    close_hub(&hub);
}

/* ---- scopes ---- */

static void hold_a_scope(struct c_strand *self)
{
    struct ml_scope *scope = ml_scope_open(self->hub, ML_SCOPE_PLAIN, in_ms(5));
    *(struct ml_scope **)self->data = scope;
    ml_strand_leave(self->hub);
    note(ml_cancel_point(self->hub) == -ECANCELED);
    if (self->number == 1)
        assert_true(ml_scope_close(self->hub, scope).expired);
}

/* The scope's deadline passes while its strand is suspended. */
static void wait_outside(struct c_task *self)
{
    static struct ml_scope *scope;
    static struct c_strand strand;
    strand = new_strand(hub_of(self), hold_a_scope, &scope, 1);
    for (strand.number = 1; strand.number <= 2; strand.number++) {
        resume(&strand);
        assert_ptr_equal(strand.strand.scope, scope);
        assert_null(self->task.scope);
        assert_int_equal(ml_sleep_until(hub_of(self), in_ms(10)), 0);
        assert_int_equal(ml_cancel_point(hub_of(self)), 0);
        resume(&strand);
        assert_null(self->task.scope);
        assert_null(strand.strand.scope);
        assert_int_equal(scope->serial, 0);
        assert_int_equal(ml_cancel_point(hub_of(self)), 0);
    }
    ASSERT_LOG(1, 1);
}

static void test_a_scope_of_a_strand_is_in_force_only_while_the_strand_is_in_the_chain(void **state)
{
    (void)state;
    run_on_both(wait_outside);
}

static void cancel_scope_of_suspended(struct c_task *self)
{
    static struct ml_scope *scope;
    static struct c_strand strand;
    strand = new_strand(hub_of(self), hold_a_scope, &scope, 2);
    struct ml_scope *outer = ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, ML_FOREVER);
    resume(&strand);
    ml_scope_cancel(scope);
    assert_int_equal(ml_cancel_point(hub_of(self)), 0);
    resume(&strand);
    ASSERT_LOG(1);
    assert_int_equal(ml_cancel_point(hub_of(self)), 0);
    assert_ptr_equal(self->task.scope, outer);
    ml_scope_close(hub_of(self), outer);
}

static void test_a_scope_cancelled_while_its_strand_is_suspended_cuts_it_once_that_goes_on(
    void **state)
{
    (void)state;
    run_on_both(cancel_scope_of_suspended);
}

static void leave_once(struct c_strand *self)
{
    note(self->hub->current->depth);
    ml_strand_leave(self->hub);
}

/* Holds its scope over turns at other depths; what it resumes leaves without taking the scope. */
static void hold_a_scope_at_any_depth(struct c_strand *self)
{
    struct c_strand *inner = self->data;
    struct ml_scope *scope = ml_scope_open(self->hub, ML_SCOPE_PLAIN, ML_FOREVER);
    for (int turn = 0; turn < 3; turn++) {
        note(self->hub->current->depth);
        resume(inner);
        assert_ptr_equal(self->hub->current->scope, scope);
        ml_strand_drop(self->hub, &inner->strand);
        ml_strand_leave(self->hub);
        assert_ptr_equal(self->hub->current->scope, scope);
    }
    ml_scope_close(self->hub, scope);
}

static void resume_from_here(struct c_strand *self)
{
    resume(self->data);
    assert_null(self->hub->current->scope);
}

static void resume_at_two_depths(struct c_task *self)
{
    static struct c_strand inner, holder, between;
    inner = new_strand(hub_of(self), leave_once, NULL, 1);
    holder = new_strand(hub_of(self), hold_a_scope_at_any_depth, &inner, 2);
    between = new_strand(hub_of(self), resume_from_here, &holder, 3);
    resume(&holder);
    assert_null(self->task.scope);
    resume(&between);
    assert_null(self->task.scope);
    resume(&holder);
    assert_null(self->task.scope);
    resume(&between);
    ASSERT_LOG(1, 2, 2, 3, 1, 2);
    assert_int_equal(state_of(&holder), ML_STRAND_UNBOUND);
}

static void test_a_strand_keeps_its_scopes_at_whatever_depth_it_is_resumed(void **state)
{
    (void)state;
    run_on_both(resume_at_two_depths);
}

/* ---- drop ---- */

static void drop_and_begin_anew(struct c_task *self)
{
    static struct ml_scope *scope;
    static struct c_strand holder;
    holder = new_strand(hub_of(self), hold_a_scope, &scope, 2);
    static struct c_strand strand;
    strand = new_strand(hub_of(self), leave_three_times, NULL, 3);
    resume(&holder);
    ml_strand_drop(hub_of(self), &holder.strand);
    assert_int_equal(state_of(&holder), ML_STRAND_UNBOUND);
    assert_null(holder.strand.scope);
    assert_int_equal(scope->serial, 0);
    resume(&strand);
    resume(&strand);
    ml_strand_drop(hub_of(self), &strand.strand);
    assert_int_equal(state_of(&strand), ML_STRAND_UNBOUND);
    resume(&strand);
    ml_strand_drop(hub_of(self), &strand.strand);
    ml_strand_drop(hub_of(self), &strand.strand);
    ASSERT_LOG(30, 31, 30);
}

static void test_a_dropped_strand_holds_nothing_and_may_begin_anew(void **state)
{
    (void)state;
    run_on_both(drop_and_begin_anew);
}

static void wait_at_the_end(struct c_strand *self)
{
    if (self->number < DEEP)
        resume(&links[self->number + 1]);
    else
        ml_sleep_until(self->hub, ML_FOREVER);
    note(self->number);
}

static void begin_chain_that_waits(struct c_task *self)
{
    for (int i = 1; i <= DEEP; i++)
        links[i] = new_strand(hub_of(self), wait_at_the_end, NULL, i);
    resume(&links[1]);
    note(0);
}

static void test_a_task_that_is_dropped_leaves_its_strands_as_if_they_had_not_begun(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task task;
    open_hub_with_strands(&hub);
    clear_log();
    spawn(&hub, &task, begin_chain_that_waits, NULL);
    while (task.task.state != ML_TASK_WAITING)
        assert_int_equal(ml_hub_run(&hub, ML_UNTIL_ALL_ENDED, in_ms(1)), -ETIMEDOUT);
    assert_int_equal(task.task.depth, DEEP);
    ml_task_drop(&hub, &task.task);
    assert_int_equal(log_length, 0);
    for (int i = 1; i <= DEEP; i++) {
        assert_int_equal(state_of(&links[i]), ML_STRAND_UNBOUND);
        assert_null(links[i].strand.resumer);
    }
    spawn(&hub, &task, resume_chain, NULL);
    assert_int_equal(run_all(&hub), 0);
    close_hub(&hub);
}

/* ---- many ---- */

static void resume_thousands_in_turn(struct c_task *self)
{
    enum { COUNT = 10000 };
    static struct c_strand strand;
    strand = new_strand(hub_of(self), note_state, &self->body, 1);
    for (int i = 0; i < COUNT; i++) {
        clear_log();
        resume(&strand);
    }
    const struct ml_bank *bank = &hub_of(self)->bank;
    assert_true(bank->all_private || bank->made <= 3);
}

static void test_thousands_of_strands_that_end_need_few_stacks(void **state)
{
    (void)state;
    run_on_both(resume_thousands_in_turn);
}

enum { CROWD = 500 };

static struct c_strand crowd[CROWD];

static void leave_for_ever(struct c_strand *self)
{
    volatile int numbers[NUMBERS];
    for (int turn = 0;; turn++) {
        fill_with_number(numbers, self->number + turn);
        ml_strand_leave(self->hub);
        assert_true(holds_number(numbers, self->number + turn));
    }
}

static void resume_at_random(struct c_task *self)
{
    uint64_t seed = 3;
    for (int i = 0; i < CROWD; i++)
        crowd[i] = new_strand(hub_of(self), leave_for_ever, NULL, i);
    for (int step = 0; step < 20 * CROWD; step++) {
        struct c_strand *strand = &crowd[random_below(&seed, CROWD)];
        if (random_below(&seed, 10) == 0)
            ml_strand_drop(hub_of(self), &strand->strand);
        else
            resume(strand);
    }
    for (int i = 0; i < CROWD; i++)
        ml_strand_drop(hub_of(self), &crowd[i].strand);
}

static void test_hundreds_of_suspended_strands_keep_what_they_had(void **state)
{
    (void)state;
    run_with_strands(resume_at_random, shared);
}

/* ---- want of memory ---- */

static void resume_without_memory(struct c_task *self)
{
    enum failing_call calls[] = {FAIL_MEMORY, FAIL_MMAP};
    static struct c_strand strand;
    strand = new_strand(hub_of(self), note_state, &self->body, 1);
    for (int i = 0; i < 2; i++) {
        fail_calls(calls[i], 1, 100);
        assert_int_equal(ml_strand_resume(hub_of(self), &strand.strand), -ENOMEM);
        assert_true(end_failing() > 0);
        assert_int_equal(state_of(&strand), ML_STRAND_UNBOUND);
        assert_null(strand.strand.resumer);
        assert_ptr_equal(self->task.strand, &self->body);
        assert_int_equal(self->task.depth, 0);
        assert_int_equal(log_length, 0);
    }
    resume(&strand);
    ASSERT_LOG(1);
}

static void test_without_memory_for_a_stack_a_strand_does_not_begin_and_may_later(void **state)
{
    (void)state;
    clear_log();
    run_with_strands(resume_without_memory, private);
}

/* ---- addresses ---- */

static void look_where_things_lie(struct c_strand *self)
{
    char local = 0;
    const struct ml_stack *stack = &self->strand.coro.seat->stack;
    const char *base = stack->base;
    assert_true(ml_strand_holds(&self->strand, &local));
    assert_true(ml_strand_holds(&self->strand, base));
    assert_true(ml_strand_holds(&self->strand, base + stack->size - 1));
    assert_false(ml_strand_holds(&self->strand, base - 1));
    assert_false(ml_strand_holds(&self->strand, base + stack->size));
    assert_false(ml_strand_holds(&self->strand, self));
    assert_false(ml_strand_holds(&self->strand, NULL));
    note(1);
}

static void look_from_strand(struct c_task *self)
{
    static struct c_strand strand;
    strand = new_strand(hub_of(self), look_where_things_lie, NULL, 1);
    resume(&strand);
    ASSERT_LOG(1);
}

static void test_a_strand_knows_which_addresses_are_its_stack(void **state)
{
    (void)state;
    run_on_both(look_from_strand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_a_strand_runs_to_its_end_then_its_resumer_goes_on_and_it_may_begin_anew),
        cmocka_unit_test(test_a_strand_goes_on_where_it_left_with_what_it_had),
        cmocka_unit_test(test_a_chain_of_strands_unwinds_in_the_reverse_order),
        cmocka_unit_test(test_the_frames_of_a_chain_are_weighed_from_a_depth_on),
        cmocka_unit_test(test_a_strand_leaves_to_the_one_that_resumed_it_last),
        cmocka_unit_test(test_the_body_of_a_task_has_nobody_to_leave_to),
        cmocka_unit_test(test_a_suspended_strand_goes_on_in_any_task_of_the_hub),
        cmocka_unit_test(test_when_a_strand_waits_its_whole_task_does_and_no_other),
        cmocka_unit_test(test_a_strand_stays_on_the_kind_of_stack_that_it_began_on),
        cmocka_unit_test(test_a_strand_begins_on_the_kind_of_stack_of_the_one_that_resumes_it),
        cmocka_unit_test(
            test_a_scope_of_a_strand_is_in_force_only_while_the_strand_is_in_the_chain),
        cmocka_unit_test(
            test_a_scope_cancelled_while_its_strand_is_suspended_cuts_it_once_that_goes_on),
        cmocka_unit_test(test_a_strand_keeps_its_scopes_at_whatever_depth_it_is_resumed),
        cmocka_unit_test(test_a_dropped_strand_holds_nothing_and_may_begin_anew),
        cmocka_unit_test(test_a_task_that_is_dropped_leaves_its_strands_as_if_they_had_not_begun),
        cmocka_unit_test(test_thousands_of_strands_that_end_need_few_stacks),
        cmocka_unit_test(test_hundreds_of_suspended_strands_keep_what_they_had),
        cmocka_unit_test(test_without_memory_for_a_stack_a_strand_does_not_begin_and_may_later),
        cmocka_unit_test(test_a_strand_knows_which_addresses_are_its_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
