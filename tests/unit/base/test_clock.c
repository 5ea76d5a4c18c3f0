/*
 * Times and spans near the ends of what can be counted: they saturate, and do not wrap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

#include <math.h>

static void test_seconds_and_nanoseconds_become_one_span(void **state)
{
    (void)state;
    assert_true(ml_time_of(0, 0) == 0);
    assert_true(ml_time_of(2, 5) == 2 * ML_SECOND + 5);
    assert_true(ml_time_of(-2, 5) == -2 * ML_SECOND + 5);
    assert_true(ml_time_of(9223372036, 854775807) == ML_FOREVER);
    assert_true(ml_time_of(9223372036, 854775806) == ML_FOREVER - 1);
}

static void test_a_span_that_is_too_long_is_the_longest(void **state)
{
    (void)state;
    static const int64_t seconds[] = {9223372037, 20000000000, (int64_t)1 << 40, INT64_MAX};
    for (unsigned i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        assert_true(ml_time_of(seconds[i], 0) == ML_FOREVER);
        assert_true(ml_time_of(seconds[i], 999999999) == ML_FOREVER);
        assert_true(ml_time_of(-seconds[i], 0) == -ML_FOREVER);
    }
    assert_true(ml_time_of(INT64_MIN, 0) == -ML_FOREVER);
    assert_true(ml_time_of(9223372036, 999999999) == ML_FOREVER);
}

static void test_sums_and_differences_stop_at_the_ends(void **state)
{
    (void)state;
    assert_true(ml_time_after(5, 7) == 12);
    assert_true(ml_time_after(5, ML_FOREVER) == ML_FOREVER);
    assert_true(ml_time_after(ML_FOREVER, 7) == ML_FOREVER);
    assert_true(ml_time_after(ML_FOREVER - 7, 7) == ML_FOREVER);
    assert_true(ml_time_after(ML_FOREVER - 8, 7) == ML_FOREVER - 1);
    assert_true(ml_time_between(5, 12) == 7);
    assert_true(ml_time_between(12, 5) == -7);
    assert_true(ml_time_between(-ML_FOREVER, 7) == ML_FOREVER);
    assert_true(ml_time_between(ML_FOREVER, -7) == -ML_FOREVER);
}

static void test_seconds_of_scripts_are_kept_within_the_ends(void **state)
{
    (void)state;
    assert_true(ml_time_from_seconds(-1) == 0);
    assert_true(ml_time_from_seconds(-HUGE_VAL) == 0);
    assert_true(ml_time_from_seconds(1e-12) == 1);
    assert_true(ml_time_from_seconds(1e300) == ML_FOREVER);
    assert_true(ml_time_from_seconds(HUGE_VAL) == ML_FOREVER);
    assert_true(ml_time_from_seconds((double)NAN) == ML_FOREVER);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seconds_and_nanoseconds_become_one_span),
        cmocka_unit_test(test_a_span_that_is_too_long_is_the_longest),
        cmocka_unit_test(test_sums_and_differences_stop_at_the_ends),
        cmocka_unit_test(test_seconds_of_scripts_are_kept_within_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
