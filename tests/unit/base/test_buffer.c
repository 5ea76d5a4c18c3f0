/*
 * The buffer: bytes come out as they went in, room is made by moving before it is made by growing,
 * and where there is no memory nothing is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "child_process.h"
#include "failing_calls.h"
#include "random_sequence.h"

#include "base/buffer.h"

#include <errno.h>

/* The n-th byte of the sequence that these tests write. */
static char byte_at(size_t n)
{
    return (char)(n * 131 + (n >> 8));
}

/* Appends `size` bytes of the sequence from its `from`-th on. */
static void append(struct ml_buffer *b, size_t from, size_t size)
{
    assert_int_equal(ml_buffer_reserve(b, size), 0);
    assert_true(ml_buffer_room(b) >= size);
    for (size_t i = 0; i < size; i++)
        ml_buffer_end(b)[i] = byte_at(from + i);
    ml_buffer_commit(b, size);
}

/* The buffer holds `size` bytes of the sequence from its `from`-th on. */
static void assert_holds(const struct ml_buffer *b, size_t from, size_t size)
{
    assert_int_equal(ml_buffer_size(b), size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(ml_buffer_data(b)[i], byte_at(from + i));
}

static void test_a_new_buffer_is_empty_and_holds_no_memory(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    assert_int_equal(ml_buffer_size(&b), 0);
    assert_int_equal(ml_buffer_room(&b), 0);
    assert_string_equal(ml_buffer_data(&b), "");
    assert_int_equal(ml_buffer_reserve(&b, 0), 0);
    ml_buffer_commit(&b, 0);
    ml_buffer_consume(&b, 0);
    assert_null(b.memory);
    assert_string_equal(ml_buffer_data(&b), "");
}

static void test_bytes_come_out_in_the_order_they_went_in(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    append(&b, 0, 1);
    assert_holds(&b, 0, 1);
    append(&b, 1, 699);
    assert_holds(&b, 0, 700);
    ml_buffer_consume(&b, 1);
    assert_holds(&b, 1, 699);
    ml_buffer_consume(&b, 698);
    assert_holds(&b, 699, 1);
    append(&b, 700, 3000);
    assert_holds(&b, 699, 3001);
    ml_buffer_release(&b);
}

static void test_all_room_is_back_once_a_buffer_is_emptied(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    append(&b, 0, 500);
    size_t capacity = b.capacity;
    ml_buffer_consume(&b, 499);
    assert_true(ml_buffer_room(&b) < capacity);
    ml_buffer_consume(&b, 1);
    assert_int_equal(ml_buffer_size(&b), 0);
    assert_int_equal(ml_buffer_room(&b), capacity);
    ml_buffer_release(&b);
}

/* Fills the block to the last byte and makes room at its start. */
static void fill_and_consume(struct ml_buffer *b, size_t consumed)
{
    append(b, 0, 1);
    append(b, 1, ml_buffer_room(b));
    assert_int_equal(ml_buffer_room(b), 0);
    ml_buffer_consume(b, consumed);
}

static void test_what_fits_after_moving_to_the_front_needs_no_memory(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    fill_and_consume(&b, 200);
    size_t capacity = b.capacity;
    fail_calls(FAIL_MEMORY, 1, 1);
    append(&b, capacity, 200);
    assert_int_equal(end_failing(), 0);
    assert_holds(&b, 200, capacity);
    assert_int_equal(b.capacity, capacity);
    ml_buffer_release(&b);
}

static void test_one_byte_more_than_that_makes_it_grow(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    fill_and_consume(&b, 200);
    size_t capacity = b.capacity;
    append(&b, capacity, 201);
    assert_holds(&b, 200, capacity + 1);
    assert_int_equal(b.capacity, 2 * capacity);
    ml_buffer_release(&b);
}

static void test_room_that_is_there_is_reserved_without_moving_anything(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    append(&b, 0, 100);
    ml_buffer_consume(&b, 50);
    const char *data = ml_buffer_data(&b);
    assert_int_equal(ml_buffer_reserve(&b, ml_buffer_room(&b)), 0);
    assert_ptr_equal(ml_buffer_data(&b), data);
    assert_holds(&b, 50, 50);
    ml_buffer_release(&b);
}

static void test_a_megabyte_in_single_bytes_grows_it_a_dozen_times(void **state)
{
    (void)state;
    enum { COUNT = 1 << 20 };
    struct ml_buffer b = {0};
    unsigned grown = 0;
    for (size_t i = 0; i < COUNT; i++) {
        size_t before = b.capacity;
        append(&b, i, 1);
        grown += b.capacity != before;
    }
    assert_holds(&b, 0, COUNT);
    assert_true(grown <= 12);
    assert_true(b.capacity < 2 * COUNT + 1);
    ml_buffer_release(&b);
}

static void test_a_reserve_of_more_than_double_gets_what_it_asks_for(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    append(&b, 0, 10);
    append(&b, 10, 1000000);
    assert_holds(&b, 0, 1000010);
    ml_buffer_release(&b);
}

static void test_without_memory_nothing_is_lost_and_it_goes_on_later(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    fail_calls(FAIL_MEMORY, 1, 1);
    assert_int_equal(ml_buffer_reserve(&b, 1), -ENOMEM);
    assert_int_equal(end_failing(), 1);
    assert_null(b.memory);
    assert_int_equal(ml_buffer_room(&b), 0);
    fill_and_consume(&b, 200);
    size_t capacity = b.capacity;
    fail_calls(FAIL_MEMORY, 1, 1);
    assert_int_equal(ml_buffer_reserve(&b, 201), -ENOMEM);
    assert_int_equal(end_failing(), 1);
    assert_holds(&b, 200, capacity - 200);
    append(&b, capacity, 201);
    assert_holds(&b, 200, capacity + 1);
    ml_buffer_release(&b);
}

static void test_sizes_that_no_memory_has_are_refused_without_harm(void **state)
{
    (void)state;
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 99, SIZE_MAX / 2, SIZE_MAX / 2 - 99};
    struct ml_buffer b = {0};
    append(&b, 0, 100);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(ml_buffer_reserve(&b, sizes[i]), -ENOMEM);
        assert_holds(&b, 0, 100);
    }
    append(&b, 100, 1000);
    assert_holds(&b, 0, 1100);
    ml_buffer_release(&b);
}

static void test_a_released_buffer_is_empty_and_usable_again(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    append(&b, 0, 100);
    ml_buffer_consume(&b, 10);
    ml_buffer_release(&b);
    assert_null(b.memory);
    assert_int_equal(ml_buffer_size(&b), 0);
    assert_int_equal(ml_buffer_room(&b), 0);
    ml_buffer_release(&b);
    append(&b, 7, 100);
    assert_holds(&b, 7, 100);
    ml_buffer_release(&b);
}

static void test_whatever_is_appended_and_consumed_in_turn_the_content_is_right(void **state)
{
    (void)state;
    struct ml_buffer b = {0};
    uint64_t seed = 1;
    size_t written = 0, consumed = 0;
    for (int step = 0; step < 3000; step++) {
        size_t size = random_below(&seed, 700);
        append(&b, written, size);
        written += size;
        assert_holds(&b, consumed, written - consumed);
        size_t taken = random_below(&seed, (unsigned)(written - consumed) + 1);
        ml_buffer_consume(&b, taken);
        consumed += taken;
        assert_holds(&b, consumed, written - consumed);
    }
    ml_buffer_release(&b);
}

static int hold_and_misuse(void *misuse)
{
    struct ml_buffer b = {0};
    close(STDERR_FILENO);
    append(&b, 0, 100);
    (*(void (**)(struct ml_buffer *))misuse)(&b);
    ml_buffer_release(&b);
    return 0;
}

/* Whether `misuse` of a buffer that holds something ends the process. */
static bool aborts(void (*misuse)(struct ml_buffer *b))
{
    int status = run_in_child(hold_and_misuse, &misuse);
    assert_true(died_by(status, SIGABRT) || exited_with(status, 0));
    return died_by(status, SIGABRT);
}

static void commit_too_much(struct ml_buffer *b)
{
    ml_buffer_commit(b, ml_buffer_room(b) + 1);
}

static void consume_too_much(struct ml_buffer *b)
{
    ml_buffer_consume(b, ml_buffer_size(b) + 1);
}

static void use_all(struct ml_buffer *b)
{
    ml_buffer_commit(b, ml_buffer_room(b));
    ml_buffer_consume(b, ml_buffer_size(b));
}

static void test_more_than_there_is_can_be_neither_committed_nor_consumed(void **state)
{
    (void)state;
    assert_true(aborts(commit_too_much));
    assert_true(aborts(consume_too_much));
    assert_false(aborts(use_all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_buffer_is_empty_and_holds_no_memory),
        cmocka_unit_test(test_bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(test_all_room_is_back_once_a_buffer_is_emptied),
        cmocka_unit_test(test_what_fits_after_moving_to_the_front_needs_no_memory),
        cmocka_unit_test(test_one_byte_more_than_that_makes_it_grow),
        cmocka_unit_test(test_room_that_is_there_is_reserved_without_moving_anything),
        cmocka_unit_test(test_a_megabyte_in_single_bytes_grows_it_a_dozen_times),
        cmocka_unit_test(test_a_reserve_of_more_than_double_gets_what_it_asks_for),
        cmocka_unit_test(test_without_memory_nothing_is_lost_and_it_goes_on_later),
        cmocka_unit_test(test_sizes_that_no_memory_has_are_refused_without_harm),
        cmocka_unit_test(test_a_released_buffer_is_empty_and_usable_again),
        cmocka_unit_test(test_whatever_is_appended_and_consumed_in_turn_the_content_is_right),
        cmocka_unit_test(test_more_than_there_is_can_be_neither_committed_nor_consumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
