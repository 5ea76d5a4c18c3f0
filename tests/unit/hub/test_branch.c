/*
 * Branches: strands that leave off and go on together on top of a task's root chain, in whatever
 * order they are switched to, with their scopes, and from whatever place of the root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_calls.h"
#include "hub_log.h"
#include "random_sequence.h"
#include "strand_fixture.h"

#include "hub/state/scope.h"
#include "hub/wait/wait.h"

#include <errno.h>

static const struct ml_spawn_options shared, private = {.private_stack = true};

enum { BRANCHES = 6 };

/* Outside of frames, which move. */
static struct c_strand branches[BRANCHES];

/* A branch that has not begun; `next` goes on when it ends. */
static void new_branch(struct ml_hub *hub, int number, void (*run)(struct c_strand *self),
                       struct ml_branch *next)
{
    struct c_strand *bottom = &branches[number];
    *bottom = new_strand(hub, run, NULL, number);
    bottom->branch.bottom = bottom->branch.top = &bottom->strand;
    bottom->next = next;
}

static struct ml_branch *branch(int number)
{
    return &branches[number].branch;
}

/* Number 0 is the root. */
static void go(struct ml_hub *hub, int from, int to)
{
    assert_int_equal(
        ml_branch_switch(hub, from != 0 ? branch(from) : NULL, to != 0 ? branch(to) : NULL), 0);
}

static enum ml_strand_state state_of(const struct c_strand *strand)
{
    return ml_strand_state(&strand->strand);
}

/* Runs on stacks that tasks share, and then on their own. */
static void run_on_both(void (*run)(struct c_task *self))
{
    clear_log();
    run_with_strands(run, shared);
    clear_log();
    run_with_strands(run, private);
}

/* Switches to the root again and again; keeps what it has. */
static void visit(struct c_strand *self)
{
    volatile int numbers[NUMBERS];
    fill_with_number(numbers, self->number);
    for (int turn = 0; turn < 3; turn++) {
        assert_ptr_equal(self->hub->current->strand, &self->strand);
        assert_int_equal(state_of(self), ML_STRAND_ACTIVE);
        note(10 * self->number + turn);
        go(self->hub, self->number, 0);
        assert_true(holds_number(numbers, self->number));
    }
}

/* ---- switch and end ---- */

static void take_turns(struct c_task *self)
{
    new_branch(hub_of(self), 1, visit, NULL);
    new_branch(hub_of(self), 2, visit, NULL);
    for (int turn = 0; turn < 3; turn++)
        for (int i = 1; i <= 2; i++) {
            go(hub_of(self), 0, i);
            assert_ptr_equal(self->task.strand, &self->body);
            assert_int_equal(self->task.depth, 0);
            assert_null(branches[i].strand.resumer);
            assert_ptr_equal(branch(i)->top, &branches[i].strand);
        }
    go(hub_of(self), 0, 1);
    go(hub_of(self), 0, 2);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(state_of(&branches[i]), ML_STRAND_UNBOUND);
        assert_null(branch(i)->top);
    }
    ASSERT_LOG(10, 20, 11, 21, 12, 22);
}

static void test_branches_go_on_where_they_left_off_with_what_they_had(void **state)
{
    (void)state;
    run_on_both(take_turns);
}

/* Each switches to the next one, without the root in between. */
static void go_to_next(struct c_strand *self)
{
    for (int turn = 0; turn < 2; turn++) {
        note(10 * self->number + turn);
        assert_ptr_equal(self->strand.resumer, self->data);
        assert_int_equal(self->hub->current->depth, 1);
        go(self->hub, self->number, self->number % 3 + 1);
    }
    note(-self->number);
}

/* The ring ends one after the other: 1 goes on as 2 is told, and so on; 3 ends into the root. */
static void begin_ring(struct c_task *self)
{
    for (int i = 1; i <= 3; i++) {
        new_branch(hub_of(self), i, go_to_next, i < 3 ? branch(i + 1) : NULL);
        branches[i].data = &self->body;
    }
    go(hub_of(self), 0, 1);
    ASSERT_LOG(10, 20, 30, 11, 21, 31, -1, -2, -3);
    assert_ptr_equal(self->task.strand, &self->body);
    assert_int_equal(self->task.depth, 0);
}

static void test_a_branch_switches_to_another_and_ends_into_another(void **state)
{
    (void)state;
    run_on_both(begin_ring);
}

static void note_and_end(struct c_strand *self)
{
    note(self->number);
}

/* Ends into one that has not begun, which ends into the root. */
static void end_into_a_new_one(struct c_task *self)
{
    for (int i = BRANCHES - 1; i >= 1; i--)
        new_branch(hub_of(self), i, note_and_end, i + 1 < BRANCHES ? branch(i + 1) : NULL);
    go(hub_of(self), 0, 1);
    ASSERT_LOG(1, 2, 3, 4, 5);
}

static void test_a_branch_that_ends_lets_one_begin(void **state)
{
    (void)state;
    run_on_both(end_into_a_new_one);
}

static void end_thousands(struct c_task *self)
{
    enum { COUNT = 10000 };
    for (int i = 0; i < COUNT; i++) {
        clear_log();
        new_branch(hub_of(self), 1, note_and_end, NULL);
        go(hub_of(self), 0, 1);
        ASSERT_LOG(1);
    }
    const struct ml_bank *bank = &hub_of(self)->bank;
    assert_true(bank->all_private || bank->made <= 3);
}

static void test_thousands_of_branches_that_end_need_few_stacks(void **state)
{
    (void)state;
    run_on_both(end_thousands);
}

/* ---- branches of several strands ---- */

enum { LINKS = 5 };

static struct c_strand links[LINKS + 1]; /* from 1 on: each resumes the next */

/* The innermost switches to the root, twice. */
static void resume_next(struct c_strand *self)
{
    volatile int numbers[NUMBERS];
    fill_with_number(numbers, self->number);
    if (self->number < LINKS) {
        assert_int_equal(ml_strand_resume(self->hub, &links[self->number + 1].strand), 0);
        assert_int_equal(state_of(self), ML_STRAND_ACTIVE);
    }
    for (int turn = 0; turn < 2 && self->number == LINKS; turn++) {
        note(self->hub->current->depth);
        go(self->hub, 1, 0);
    }
    assert_true(holds_number(numbers, self->number));
    note(-self->number);
}

static void begin_links(struct c_strand *self)
{
    for (int i = 1; i <= LINKS; i++)
        links[i] = new_strand(self->hub, resume_next, NULL, i);
    assert_int_equal(ml_strand_resume(self->hub, &links[1].strand), 0);
    note(self->hub->current->depth);
}

static void visit_links(struct c_task *self)
{
    new_branch(hub_of(self), 1, begin_links, NULL);
    for (int turn = 0; turn < 2; turn++) {
        go(hub_of(self), 0, 1);
        assert_ptr_equal(branch(1)->top, &links[LINKS].strand);
        assert_null(branches[1].strand.resumer);
        assert_ptr_equal(links[1].strand.resumer, &branches[1].strand);
        assert_int_equal(self->task.depth, 0);
    }
    go(hub_of(self), 0, 1);
    ASSERT_LOG(LINKS + 1, LINKS + 1, -5, -4, -3, -2, -1, 1);
}

static void test_the_strands_of_a_branch_leave_off_and_go_on_together(void **state)
{
    (void)state;
    run_on_both(visit_links);
}

/* ---- the root ---- */

static void enter_from_strand(struct c_strand *self)
{
    go(self->hub, 0, 1);
    note(100 + self->hub->current->depth);
    ml_strand_leave(self->hub);
    go(self->hub, 0, 1);
}

static void note_depth(struct c_strand *self)
{
    for (;;) {
        const struct ml_task *task = self->hub->current;
        note(task->depth);
        assert_ptr_equal(self->strand.resumer, self->data);
        go(self->hub, self->number, 0);
    }
}

/* The branch rests on whatever strand is the innermost of the root. */
static void enter_from_other_depths(struct c_task *self)
{
    static struct c_strand between;
    between = new_strand(hub_of(self), enter_from_strand, NULL, 9);
    new_branch(hub_of(self), 1, note_depth, NULL);
    branches[1].data = &self->body;
    go(hub_of(self), 0, 1);
    branches[1].data = &between.strand;
    assert_int_equal(ml_strand_resume(hub_of(self), &between.strand), 0);
    branches[1].data = &self->body;
    go(hub_of(self), 0, 1);
    branches[1].data = &between.strand;
    assert_int_equal(ml_strand_resume(hub_of(self), &between.strand), 0);
    assert_int_equal(self->task.depth, 0);
    ml_branch_drop(hub_of(self), branch(1));
    ASSERT_LOG(1, 2, 101, 1, 2);
}

static void test_a_branch_rests_on_the_strand_that_the_root_has_reached(void **state)
{
    (void)state;
    run_on_both(enter_from_other_depths);
}

static void enter_in_this_task(struct c_task *self)
{
    branches[1].data = &self->body;
    go(hub_of(self), 0, 1);
}

static void test_a_suspended_branch_goes_on_in_any_task_of_the_hub(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[4];
    open_hub_with_strands(&hub);
    clear_log();
    new_branch(&hub, 1, note_depth, NULL);
    for (int i = 0; i < 4; i++)
        spawn_with(&hub, &tasks[i], enter_in_this_task, NULL, i % 2 == 0 ? private : shared);
    assert_int_equal(run_all(&hub), 0);
    ASSERT_LOG(1, 1, 1, 1);
    ml_branch_drop(&hub, branch(1));
    close_hub(&hub);
}

/* ---- waits ---- */

static void sleep_then_note(struct c_strand *self)
{
    assert_int_equal(ml_sleep_until(self->hub, in_ms(5)), 0);
    note(1);
    note(ml_sleep_until(self->hub, ML_FOREVER));
}

static void enter_sleeper(struct c_task *self)
{
    new_branch(hub_of(self), 1, sleep_then_note, NULL);
    go(hub_of(self), 0, 1);
    note(2);
}

static void cancel_sleeper(struct c_task *self)
{
    struct c_task *sleeper = self->data;
    let_wait(self, sleeper);
    note(0);
    while (log_length < 2)
        assert_int_equal(ml_yield(hub_of(self)), 0);
    let_wait(self, sleeper);
    ml_task_cancel(&sleeper->task);
}

static void test_when_a_branch_waits_its_whole_task_does_and_no_other(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task tasks[2];
    open_hub_with_strands(&hub);
    clear_log();
    spawn(&hub, &tasks[0], enter_sleeper, NULL);
    spawn(&hub, &tasks[1], cancel_sleeper, &tasks[0]);
    assert_int_equal(run_all(&hub), 0);
    ASSERT_LOG(0, 1, -ECANCELED, 2);
    close_hub(&hub);
}

/* ---- scopes ---- */

static struct ml_scope *held, *held_inside;

static void hold_inside(struct c_strand *self)
{
    held_inside = ml_scope_open(self->hub, ML_SCOPE_PLAIN, ML_FOREVER);
    for (int turn = 0; turn < 2; turn++) {
        go(self->hub, 1, 0);
        assert_ptr_equal(self->hub->current->scope, held_inside);
    }
    assert_int_equal(ml_cancel_point(self->hub), -ECANCELED);
    assert_false(ml_scope_close(self->hub, held_inside).expired);
}

static void hold_scopes(struct c_strand *self)
{
    held = ml_scope_open(self->hub, ML_SCOPE_PLAIN, in_ms(5));
    links[1] = new_strand(self->hub, hold_inside, NULL, 1);
    assert_int_equal(ml_strand_resume(self->hub, &links[1].strand), 0);
    assert_ptr_equal(self->hub->current->scope, held);
    assert_true(ml_scope_close(self->hub, held).expired);
    assert_null(self->hub->current->scope->outer);
    held = ml_scope_open(self->hub, ML_SCOPE_PLAIN, ML_FOREVER); /* left open */
}

/* The deadline of a branch's scope passes while the branch is suspended. */
static void wait_outside(struct c_task *self)
{
    struct ml_scope *outer = ml_scope_open(hub_of(self), ML_SCOPE_PLAIN, ML_FOREVER);
    new_branch(hub_of(self), 1, hold_scopes, NULL);
    for (int turn = 0; turn < 2; turn++) {
        go(hub_of(self), 0, 1);
        assert_ptr_equal(self->task.scope, outer);
    }
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(10)), 0);
    assert_int_equal(ml_cancel_point(hub_of(self)), 0);
    go(hub_of(self), 0, 1);
    assert_ptr_equal(self->task.scope, outer);
    assert_int_equal(ml_cancel_point(hub_of(self)), 0);
    assert_int_equal(held->serial, 0);
    assert_false(ml_scope_close(hub_of(self), outer).expired);
}

static void test_the_scopes_of_a_branch_are_in_force_only_while_it_runs(void **state)
{
    (void)state;
    run_on_both(wait_outside);
}

static void drop_with_scopes(struct c_task *self)
{
    new_branch(hub_of(self), 1, hold_scopes, NULL);
    go(hub_of(self), 0, 1);
    ml_branch_drop(hub_of(self), branch(1));
    assert_int_equal(held->serial, 0);
    assert_int_equal(held_inside->serial, 0);
    assert_int_equal(state_of(&branches[1]), ML_STRAND_UNBOUND);
    assert_int_equal(state_of(&links[1]), ML_STRAND_UNBOUND);
    assert_null(links[1].strand.resumer);
    assert_null(branch(1)->top);
    ml_branch_drop(hub_of(self), branch(1));
    assert_null(self->task.scope);
}

static void test_a_dropped_branch_leaves_neither_frames_nor_scopes(void **state)
{
    (void)state;
    run_on_both(drop_with_scopes);
}

/* ---- want of memory ---- */

static void enter_without_memory(struct c_task *self)
{
    enum failing_call calls[] = {FAIL_MEMORY, FAIL_MMAP};
    new_branch(hub_of(self), 1, note_and_end, NULL);
    for (int i = 0; i < 2; i++) {
        fail_calls(calls[i], 1, 100);
        assert_int_equal(ml_branch_switch(hub_of(self), NULL, branch(1)), -ENOMEM);
        assert_true(end_failing() > 0);
        assert_null(branches[1].strand.resumer);
        assert_ptr_equal(branch(1)->top, &branches[1].strand);
        assert_ptr_equal(self->task.strand, &self->body);
        assert_int_equal(self->task.depth, 0);
        assert_int_equal(log_length, 0);
    }
    go(hub_of(self), 0, 1);
    ASSERT_LOG(1);
}

static void test_without_memory_for_a_stack_a_branch_does_not_begin_and_may_later(void **state)
{
    (void)state;
    clear_log();
    run_with_strands(enter_without_memory, private);
}

/* From a branch, which runs on. */
static void leave_without_memory(struct c_strand *self)
{
    struct ml_scope *scope = ml_scope_open(self->hub, ML_SCOPE_PLAIN, ML_FOREVER);
    fail_calls(FAIL_MMAP, 1, 100);
    assert_int_equal(ml_branch_switch(self->hub, branch(1), branch(2)), -ENOMEM);
    assert_true(end_failing() > 0);
    assert_ptr_equal(self->hub->current->strand, &self->strand);
    assert_ptr_equal(self->hub->current->scope, scope);
    assert_ptr_equal(self->strand.resumer, self->data);
    assert_int_equal(self->hub->current->depth, 1);
    ml_scope_close(self->hub, scope);
    go(self->hub, 1, 2);
    note(1);
}

static void try_to_leave(struct c_task *self)
{
    new_branch(hub_of(self), 1, leave_without_memory, NULL);
    new_branch(hub_of(self), 2, note_and_end, branch(1));
    branches[1].data = &self->body;
    go(hub_of(self), 0, 1);
    ASSERT_LOG(2, 1);
}

static void test_a_branch_that_finds_no_memory_for_another_runs_on(void **state)
{
    (void)state;
    clear_log();
    run_with_strands(try_to_leave, private);
}

/* ---- whatever is done, in any order ---- */

enum { STEPS = 20000 };

static uint64_t seed;
static int steps;

/* Goes to one of the others, or the root, at random; ends at times, for another to begin. */
static void wander(struct c_strand *self)
{
    volatile int numbers[NUMBERS];
    fill_with_number(numbers, self->number + steps);
    int begun = steps;
    while (steps++ < STEPS && random_below(&seed, 8) != 0) {
        int to = (int)random_below(&seed, BRANCHES);
        if (to != self->number && (to == 0 || branch(to)->top != NULL))
            go(self->hub, self->number, to);
        assert_true(holds_number(numbers, self->number + begun));
        assert_ptr_equal(self->hub->current->strand, &self->strand);
        assert_int_equal(self->hub->current->depth, 1);
    }
}

static void wander_from_the_root(struct c_task *self)
{
    for (int i = 1; i < BRANCHES; i++)
        new_branch(hub_of(self), i, wander, NULL);
    while (steps++ < STEPS) {
        int to = 1 + (int)random_below(&seed, BRANCHES - 1);
        if (branch(to)->top == NULL)
            new_branch(hub_of(self), to, wander, NULL);
        if (random_below(&seed, 20) == 0)
            ml_branch_drop(hub_of(self), branch(to));
        else
            go(hub_of(self), 0, to);
        assert_int_equal(self->task.depth, 0);
        assert_ptr_equal(self->task.strand, &self->body);
    }
    for (int i = 1; i < BRANCHES; i++)
        ml_branch_drop(hub_of(self), branch(i));
}

static void test_branches_may_go_to_each_other_in_any_order(void **state)
{
    (void)state;
    for (uint64_t first = 1; first <= 4; first++) {
        seed = first;
        steps = 0;
        run_with_strands(wander_from_the_root, first % 2 == 0 ? private : shared);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_branches_go_on_where_they_left_off_with_what_they_had),
        cmocka_unit_test(test_a_branch_switches_to_another_and_ends_into_another),
        cmocka_unit_test(test_a_branch_that_ends_lets_one_begin),
        cmocka_unit_test(test_thousands_of_branches_that_end_need_few_stacks),
        cmocka_unit_test(test_the_strands_of_a_branch_leave_off_and_go_on_together),
        cmocka_unit_test(test_a_branch_rests_on_the_strand_that_the_root_has_reached),
        cmocka_unit_test(test_a_suspended_branch_goes_on_in_any_task_of_the_hub),
        cmocka_unit_test(test_when_a_branch_waits_its_whole_task_does_and_no_other),
        cmocka_unit_test(test_the_scopes_of_a_branch_are_in_force_only_while_it_runs),
        cmocka_unit_test(test_a_dropped_branch_leaves_neither_frames_nor_scopes),
        cmocka_unit_test(test_without_memory_for_a_stack_a_branch_does_not_begin_and_may_later),
        cmocka_unit_test(test_a_branch_that_finds_no_memory_for_another_runs_on),
        cmocka_unit_test(test_branches_may_go_to_each_other_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
