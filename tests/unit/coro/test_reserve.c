/* Memory for copies of frames that is there when no other is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "coro/reserve.h"

#include <errno.h>
#include <string.h>

enum { UNITS = 256 };

static void test_gives_as_many_units_as_were_asked_for(void **state)
{
    (void)state;
    struct ml_reserve reserve = {0};
    char *blocks[UNITS];
    assert_null(ml_reserve_take(&reserve, 1));
    assert_int_equal(ml_reserve_grow(&reserve, UNITS / 2), 0);
    assert_int_equal(ml_reserve_grow(&reserve, UNITS), 0);
    for (int i = 0; i < UNITS; i++) {
        blocks[i] = ml_reserve_take(&reserve, ML_RESERVE_UNIT);
        assert_non_null(blocks[i]);
        memset(blocks[i], i, ML_RESERVE_UNIT);
    }
    assert_null(ml_reserve_take(&reserve, 1));
    for (int i = 0; i < UNITS; i++) {
        assert_int_equal((unsigned char)blocks[i][ML_RESERVE_UNIT - 1], i % 256);
        assert_true(ml_reserve_give_back(&reserve, blocks[i], ML_RESERVE_UNIT));
    }
    assert_int_equal(reserve.blocks, 0);
    ml_reserve_release(&reserve);
}

static void test_a_large_block_takes_units_in_a_row(void **state)
{
    (void)state;
    struct ml_reserve reserve = {0};
    assert_int_equal(ml_reserve_grow(&reserve, UNITS), 0);
    char *first = ml_reserve_take(&reserve, 100 * ML_RESERVE_UNIT);
    char *second = ml_reserve_take(&reserve, 100 * ML_RESERVE_UNIT + 1);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(ml_reserve_take(&reserve, 100 * ML_RESERVE_UNIT));
    assert_true(ml_reserve_give_back(&reserve, first, 100 * ML_RESERVE_UNIT));
    assert_ptr_equal(ml_reserve_take(&reserve, 99 * ML_RESERVE_UNIT), first);
    ml_reserve_release(&reserve);
}

static void test_shrinks_down_to_what_is_in_use(void **state)
{
    (void)state;
    struct ml_reserve reserve = {0};
    assert_int_equal(ml_reserve_grow(&reserve, UNITS), 0);
    void *block = ml_reserve_take(&reserve, 65 * ML_RESERVE_UNIT);
    assert_int_equal(ml_reserve_grow(&reserve, 4 * UNITS), 0);
    ml_reserve_shrink(&reserve, 2 * UNITS);
    assert_int_equal(reserve.units, 2 * UNITS);
    ml_reserve_shrink(&reserve, 0);
    assert_int_equal(reserve.units, 128);
    assert_true(ml_reserve_give_back(&reserve, block, 65 * ML_RESERVE_UNIT));
    ml_reserve_shrink(&reserve, 0);
    assert_int_equal(reserve.units, 0);
    assert_null(reserve.regions);
}

static void test_knows_its_own_blocks(void **state)
{
    (void)state;
    struct ml_reserve reserve = {0};
    char other[ML_RESERVE_UNIT];
    assert_false(ml_reserve_give_back(&reserve, other, sizeof other));
    assert_int_equal(ml_reserve_grow(&reserve, UNITS), 0);
    assert_false(ml_reserve_give_back(&reserve, other, sizeof other));
    assert_false(ml_reserve_give_back(&reserve, NULL, 0));
    ml_reserve_release(&reserve);
}

static void test_more_than_there_is_room_for_is_refused(void **state)
{
    (void)state;
    struct ml_reserve reserve = {0};
    assert_int_equal(ml_reserve_grow(&reserve, (size_t)1 << 40), -ENOMEM);
    assert_int_equal(reserve.units, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_as_many_units_as_were_asked_for),
        cmocka_unit_test(test_a_large_block_takes_units_in_a_row),
        cmocka_unit_test(test_shrinks_down_to_what_is_in_use),
        cmocka_unit_test(test_knows_its_own_blocks),
        cmocka_unit_test(test_more_than_there_is_room_for_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
