/*
 * Negotiation of a content coding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/accept_encoding.h"

#include <string.h>

static int negotiate(const char *field)
{
    static const enum ml_coding offers[] = {ML_CODING_BR, ML_CODING_GZIP};
    return ml_coding_negotiate(field, field != NULL ? strlen(field) : 0, offers, 2);
}

static void test_the_offer_with_the_highest_weight_is_taken(void **state)
{
    (void)state;
    assert_int_equal(negotiate("gzip"), ML_CODING_GZIP);
    assert_int_equal(negotiate("gzip, br"), ML_CODING_BR);
    assert_int_equal(negotiate("gzip;q=1.0, br;q=0.9"), ML_CODING_GZIP);
    assert_int_equal(negotiate("br;q=0.001,gzip;q=0.002"), ML_CODING_GZIP);
    assert_int_equal(negotiate("GZIP ; Q=0.5"), ML_CODING_GZIP);
    assert_int_equal(negotiate("x-gzip"), ML_CODING_GZIP);
    assert_int_equal(negotiate("deflate, compress, zstd"), ML_CODING_IDENTITY);
}

static void test_a_star_is_for_what_the_field_does_not_name(void **state)
{
    (void)state;
    assert_int_equal(negotiate("*"), ML_CODING_BR);
    assert_int_equal(negotiate("*, br;q=0"), ML_CODING_GZIP);
    assert_int_equal(negotiate("gzip, *;q=0"), ML_CODING_GZIP);
    assert_int_equal(negotiate("*;q=0"), -1);
    assert_int_equal(negotiate("*;q=0, identity"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("identity;q=0.1, *;q=0"), ML_CODING_IDENTITY);
}

static void test_the_identity_is_acceptable_unless_excluded(void **state)
{
    (void)state;
    assert_int_equal(negotiate(NULL), ML_CODING_IDENTITY);
    assert_int_equal(negotiate(""), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("gzip;q=0"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("identity;q=0"), -1);
    assert_int_equal(negotiate("identity;q=0, gzip;q=0.1"), ML_CODING_GZIP);
    assert_int_equal(negotiate("identity, gzip;q=0.9"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("identity;q=0.5, gzip;q=0.5"), ML_CODING_GZIP);
    assert_int_equal(negotiate("identity;q=0, deflate"), -1);
}

static void test_an_element_outside_of_the_grammar_is_ignored(void **state)
{
    (void)state;
    assert_int_equal(negotiate("gzip;q=2"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("gzip;q=1.1"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("gzip;q=0.5555"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("gzip;q="), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("gzip;q=-1"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("gzip;level=1"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate("gzip;q=.5"), ML_CODING_IDENTITY);
    assert_int_equal(negotiate(", ,gzip,,"), ML_CODING_GZIP);
    assert_int_equal(negotiate("gzipx, ;q=1, br"), ML_CODING_BR);
    assert_int_equal(negotiate("gzip;q=1."), ML_CODING_GZIP); /* RFC 9110 lets the digits lack */
}

static void test_the_first_of_two_elements_for_one_coding_counts(void **state)
{
    (void)state;
    assert_int_equal(negotiate("gzip;q=0, gzip"), ML_CODING_IDENTITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_offer_with_the_highest_weight_is_taken),
        cmocka_unit_test(test_a_star_is_for_what_the_field_does_not_name),
        cmocka_unit_test(test_the_identity_is_acceptable_unless_excluded),
        cmocka_unit_test(test_an_element_outside_of_the_grammar_is_ignored),
        cmocka_unit_test(test_the_first_of_two_elements_for_one_coding_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
