/*
 * Slots: small numbers for live tasks, found both ways and used again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_calls.h"

#include "hub/state/slots.h"
#include "hub/state/task.h"

#include <errno.h>

static void test_slots_find_their_tasks_and_are_used_again(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static struct ml_task tasks[COUNT];
    static uint32_t numbers[COUNT];
    struct ml_slots slots;
    ml_slots_init(&slots);
    for (int i = 0; i < COUNT; i++) {
        uint32_t next = ml_slots_next(&slots);
        assert_int_equal(ml_slots_take(&slots, &tasks[i], &numbers[i]), 0);
        assert_int_equal(numbers[i], next);
    }
    for (int i = 0; i < COUNT; i += 3)
        ml_slots_give_back(&slots, numbers[i]);
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(ml_slots_task(&slots, numbers[i]), i % 3 == 0 ? NULL : &tasks[i]);
    for (int i = 0; i < COUNT; i += 3) {
        assert_int_equal(ml_slots_take(&slots, &tasks[i], &numbers[i]), 0);
        assert_true(numbers[i] < COUNT);
    }
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(ml_slots_task(&slots, numbers[i]), &tasks[i]);
    assert_int_equal(slots.count, COUNT);
    ml_slots_release(&slots);
}

static void test_the_slot_that_was_given_back_last_is_the_next_one(void **state)
{
    (void)state;
    struct ml_task tasks[4];
    uint32_t numbers[4];
    struct ml_slots slots;
    ml_slots_init(&slots);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ml_slots_take(&slots, &tasks[i], &numbers[i]), 0);
    ml_slots_give_back(&slots, numbers[0]);
    ml_slots_give_back(&slots, numbers[1]);
    assert_int_equal(ml_slots_next(&slots), numbers[1]);
    assert_int_equal(ml_slots_take(&slots, &tasks[3], &numbers[3]), 0);
    assert_int_equal(numbers[3], numbers[1]);
    assert_int_equal(ml_slots_next(&slots), numbers[0]);
    assert_null(ml_slots_task(&slots, numbers[0]));
    assert_ptr_equal(ml_slots_task(&slots, numbers[3]), &tasks[3]);
    ml_slots_release(&slots);
}

static void test_without_memory_no_slot_is_taken_and_those_that_are_stay(void **state)
{
    (void)state;
    static struct ml_task tasks[1000];
    uint32_t number = 0, taken = 0;
    struct ml_slots slots;
    ml_slots_init(&slots);
    fail_calls(FAIL_MEMORY, 2, 1000);
    while (ml_slots_take(&slots, &tasks[taken], &number) == 0)
        taken++;
    assert_true(end_failing() > 0);
    assert_true(taken > 0);
    assert_int_equal(slots.count, taken);
    for (uint32_t i = 0; i < taken; i++)
        assert_ptr_equal(ml_slots_task(&slots, i), &tasks[i]);
    assert_int_equal(ml_slots_take(&slots, &tasks[taken], &number), 0);
    assert_int_equal(number, taken);
    ml_slots_release(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_find_their_tasks_and_are_used_again),
        cmocka_unit_test(test_the_slot_that_was_given_back_last_is_the_next_one),
        cmocka_unit_test(test_without_memory_no_slot_is_taken_and_those_that_are_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
