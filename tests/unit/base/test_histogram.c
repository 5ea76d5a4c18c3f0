/* Log-linear histograms: ranges, sums, quantiles beside exact ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void test_a_number_with_two_digits_ends_its_range(void **state)
{
    (void)state;
    for (uint64_t power = 1; power <= 1000000000000; power *= 10)
        for (uint64_t digits = 10; digits < 100; digits++) {
            static struct ml_histogram h;
            uint64_t bound = digits * power;
            memset(&h, 0, sizeof h);
            ml_histogram_add(&h, bound - 1);
            ml_histogram_add(&h, bound);
            ml_histogram_add(&h, bound + 1);
            /* Above that all lie in one range. */
            assert_int_equal(ml_histogram_count_to(&h, bound), bound <= 10000000000000 ? 2 : 3);
        }
}

static void test_the_smallest_and_the_largest_numbers_are_counted(void **state)
{
    (void)state;
    static struct ml_histogram h;
    assert_true(ml_histogram_quantile(&h, 0.5) == 0);
    ml_histogram_add(&h, 0);
    assert_int_equal(ml_histogram_count_to(&h, 0), 1);
    ml_histogram_add(&h, 1);
    ml_histogram_add(&h, UINT64_MAX);
    assert_int_equal(ml_histogram_count_to(&h, 1), 2);
    assert_int_equal(ml_histogram_count_to(&h, 10000000000000), 2);
    assert_int_equal(ml_histogram_count_to(&h, UINT64_MAX), 3);
    assert_int_equal(h.total, 3);
    assert_int_equal(h.most, UINT64_MAX);
    assert_true(ml_histogram_quantile(&h, 1) == (double)UINT64_MAX);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* A million numbers of very different sizes. */
static void test_quantiles_are_near_the_exact_ones(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    static struct ml_histogram h, halves[2];
    static const double shares[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.9999, 1};
    uint64_t *numbers = malloc(COUNT * sizeof *numbers), seed = 88172645463325252;
    assert_non_null(numbers);
    for (int i = 0; i < COUNT; i++) {
        double exponent = (double)(next_random(&seed) % 1000000) / 1e6 * 12;
        numbers[i] = (uint64_t)pow(10, exponent);
        ml_histogram_add(&h, numbers[i]);
        ml_histogram_add(&halves[i % 2], numbers[i]);
    }
    qsort(numbers, COUNT, sizeof *numbers, compare);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        size_t rank = (size_t)ceil(shares[i] * COUNT);
        double exact = (double)numbers[rank > 0 ? rank - 1 : 0];
        double found = ml_histogram_quantile(&h, shares[i]);
        assert_true(fabs(found - exact) <= exact * 0.1 + 1);
    }
    ml_histogram_merge(&halves[0], &halves[1]);
    assert_memory_equal(&halves[0], &h, sizeof h);
    free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_number_with_two_digits_ends_its_range),
        cmocka_unit_test(test_the_smallest_and_the_largest_numbers_are_counted),
        cmocka_unit_test(test_quantiles_are_near_the_exact_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
