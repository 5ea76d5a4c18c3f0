/* Parts of files that were sent a moment ago: known for a second, by what they are. */
#include "io/recent_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_a_part_is_known_for_a_second(void **state)
{
    (void)state;
    struct ml_recent_files files = {0};
    uint64_t part = ml_recent_part(7, 0, 65536);
    assert_false(ml_recent_files_have(&files, part, ML_SECOND));
    ml_recent_files_note(&files, part, ML_SECOND);
    assert_true(ml_recent_files_have(&files, part, ML_SECOND));
    assert_true(ml_recent_files_have(&files, part, 2 * ML_SECOND - 1));
    assert_false(ml_recent_files_have(&files, part, 2 * ML_SECOND));
}

static void test_another_file_place_or_size_is_another_part(void **state)
{
    (void)state;
    struct ml_recent_files files = {0};
    ml_recent_files_note(&files, ml_recent_part(7, 0, 65536), 0);
    assert_false(ml_recent_files_have(&files, ml_recent_part(8, 0, 65536), 0));
    assert_false(ml_recent_files_have(&files, ml_recent_part(7, 1, 65536), 0));
    assert_false(ml_recent_files_have(&files, ml_recent_part(7, 0, 65537), 0));
    assert_int_not_equal(0, ml_recent_part(0, 0, 0));
}

static void test_thousands_of_files_cost_no_memory_and_are_never_mixed_up(void **state)
{
    (void)state;
    struct ml_recent_files files = {0};
    int known = 0;
    for (uint64_t file = 1; file <= 5000; file++)
        ml_recent_files_note(&files, ml_recent_part(file, 0, 100), 0);
    for (uint64_t file = 1; file <= 10000; file++) {
        bool has = ml_recent_files_have(&files, ml_recent_part(file, 0, 100), 0);
        assert_true(!has || file <= 5000);
        known += has;
    }
    assert_in_range(known, 60, 64); /* the last ones, almost one at each place */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_part_is_known_for_a_second),
        cmocka_unit_test(test_another_file_place_or_size_is_another_part),
        cmocka_unit_test(test_thousands_of_files_cost_no_memory_and_are_never_mixed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
