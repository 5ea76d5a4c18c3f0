/*
 * What two ends agree on about compression: offers, answers, and what is no field.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/ws_extension.h"

#include <errno.h>
#include <string.h>

static const struct ml_ws_compression all = {6, 15, false, 0};
static const struct ml_ws_compression small = {6, 10, false, 0};
static const struct ml_ws_compression single = {6, 15, true, 0};

/* The answer to an offer, "" if none is acceptable, "malformed". */
static const char *answer(const struct ml_ws_compression *ours, const char *field)
{
    static char text[ML_WS_TERMS_SIZE];
    struct ml_ws_terms terms;
    /* A copy of exactly that size: a byte too far is seen by the sanitizer. */
    char *copy = test_malloc(strlen(field) + 1);
    memcpy(copy, field, strlen(field));
    int result = ml_ws_accept_offer(ours, copy, strlen(field), &terms);
    test_free(copy);
    if (result <= 0)
        return result == 0 ? "" : "malformed";
    size_t size = ml_ws_write_terms(text, &terms);
    assert_int_equal(size, strlen(text));
    return text;
}

#define PD "permessage-deflate"

static void test_an_offer_is_answered_with_what_both_can(void **state)
{
    (void)state;
    assert_string_equal(answer(&all, PD), PD);
    assert_string_equal(answer(&all, PD "; client_max_window_bits"), PD);
    assert_string_equal(answer(&all, " " PD " ;\tclient_max_window_bits = 10 "),
                        PD "; client_max_window_bits=10");
    assert_string_equal(answer(&all, PD ";server_max_window_bits=9"),
                        PD "; server_max_window_bits=9");
    assert_string_equal(answer(&all, PD ";server_max_window_bits=15"),
                        PD "; server_max_window_bits=15");
    assert_string_equal(answer(&all, PD ";server_max_window_bits=8;client_max_window_bits=8"),
                        PD "; server_max_window_bits=8; client_max_window_bits=8");
    assert_string_equal(answer(&all, PD ";server_no_context_takeover;client_no_context_takeover"),
                        PD "; server_no_context_takeover; client_no_context_takeover");
}

static void test_a_server_bounds_its_memory(void **state)
{
    (void)state;
    assert_string_equal(answer(&small, PD), PD "; server_max_window_bits=10");
    assert_string_equal(answer(&small, PD ";client_max_window_bits"),
                        PD "; server_max_window_bits=10; client_max_window_bits=10");
    assert_string_equal(answer(&small, PD ";server_max_window_bits=9;client_max_window_bits=15"),
                        PD "; server_max_window_bits=9; client_max_window_bits=10");
    assert_string_equal(answer(&single, PD),
                        PD "; server_no_context_takeover; client_no_context_takeover");
}

static void test_the_first_offer_that_is_right_is_chosen(void **state)
{
    (void)state;
    assert_string_equal(answer(&all, "x, y; z=1; a=\"b\", " PD), PD);
    assert_string_equal(answer(&all, PD "; x, " PD "; server_max_window_bits=11, " PD),
                        PD "; server_max_window_bits=11");
    assert_string_equal(answer(&all, ", ," PD ",,"), PD);
    assert_string_equal(answer(&all, "x, x-webkit-deflate-frame"), "");
    assert_string_equal(answer(&all, ""), "");
}

static void test_a_quoted_value_is_the_same(void **state)
{
    (void)state;
    assert_string_equal(answer(&all, PD "; server_max_window_bits=\"10\""),
                        PD "; server_max_window_bits=10");
    assert_string_equal(answer(&all, PD "; server_max_window_bits=\"\\1\\0\""),
                        PD "; server_max_window_bits=10");
    assert_string_equal(answer(&all, "x; y=\"long-long-long\", " PD), PD);
    assert_string_equal(answer(&all, PD "; server_max_window_bits=\"10000\""), "");
}

static void test_a_wrong_parameter_declines_the_offer(void **state)
{
    static const char *const wrong[] = {
        "x",
        "x=1",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=1",
        "server_max_window_bits=150",
        "server_max_window_bits=-9",
        "server_max_window_bits=1x",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=0",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "Server_No_Context_Takeover",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char field[160] = PD "; ";
        strcat(field, wrong[i]);
        assert_string_equal(answer(&all, field), "");
        strcat(field, ", " PD);
        assert_string_equal(answer(&all, field), PD);
    }
}

static void test_what_is_no_list_of_extensions_is_told(void **state)
{
    static const char *const wrong[] = {
        ";",
        "=",
        PD ";",
        PD "; ;",
        PD "; =",
        PD "; x=",
        PD " x",
        PD "; x=\"",
        PD "; x=\"a",
        PD "; x=\"\\",
        PD "; x=\"\"",
        PD "; x=\"a b\"",
        PD "; x=\"a\"b",
        "\"x\"",
        PD ", ;",
        PD "/x",
        "x y",
        "\x80",
        PD "; x=\"\x7f\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_string_equal(answer(&all, wrong[i]), "malformed");
}

static int read_answer(const struct ml_ws_compression *ours, const char *field)
{
    struct ml_ws_terms terms;
    return ml_ws_read_answer(ours, field, strlen(field), &terms);
}

static void test_an_answer_keeps_to_the_offer(void **state)
{
    (void)state;
    assert_int_equal(read_answer(&all, PD), 0);
    assert_int_equal(read_answer(&all, PD "; client_max_window_bits=8"), 0);
    assert_int_equal(read_answer(&all, PD "; server_max_window_bits=9"), 0);
    assert_int_equal(read_answer(&all, PD "; server_no_context_takeover"), 0);
    assert_int_equal(read_answer(&small, PD "; server_max_window_bits=10"), 0);
    assert_int_equal(read_answer(&small, PD "; server_max_window_bits=8; client_max_window_bits=9"),
                     0);
    assert_int_equal(read_answer(&single, PD "; server_no_context_takeover"), 0);
}

static void test_an_answer_that_was_not_offered_is_refused(void **state)
{
    (void)state;
    assert_int_equal(read_answer(&all, ""), -EPROTO);
    assert_int_equal(read_answer(&all, "x"), -EPROTO);
    assert_int_equal(read_answer(&all, PD ", " PD), -EPROTO);
    assert_int_equal(read_answer(&all, PD ", x"), -EPROTO);
    assert_int_equal(read_answer(&all, PD "; x"), -EPROTO);
    assert_int_equal(read_answer(&all, PD "; client_max_window_bits"), -EPROTO);
    assert_int_equal(read_answer(&all, PD "; server_max_window_bits=7"), -EPROTO);
    assert_int_equal(read_answer(&all, PD ";"), -EPROTO);
    assert_int_equal(read_answer(&small, PD), -EPROTO);
    assert_int_equal(read_answer(&small, PD "; server_max_window_bits=11"), -EPROTO);
    assert_int_equal(
        read_answer(&small, PD "; server_max_window_bits=10; client_max_window_bits=11"), -EPROTO);
    assert_int_equal(read_answer(&single, PD), -EPROTO);
}

static void test_a_client_offers_what_bounds_its_memory(void **state)
{
    char text[ML_WS_TERMS_SIZE];
    struct ml_ws_terms terms = ml_ws_offer(&all);
    (void)state;
    ml_ws_write_terms(text, &terms);
    assert_string_equal(text, PD "; client_max_window_bits");
    terms = ml_ws_offer(&small);
    ml_ws_write_terms(text, &terms);
    assert_string_equal(text, PD "; server_max_window_bits=10; client_max_window_bits=10");
    terms = ml_ws_offer(&single);
    ml_ws_write_terms(text, &terms);
    assert_string_equal(text, PD "; server_no_context_takeover; client_no_context_takeover"
                                 "; client_max_window_bits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_offer_is_answered_with_what_both_can),
        cmocka_unit_test(test_a_server_bounds_its_memory),
        cmocka_unit_test(test_the_first_offer_that_is_right_is_chosen),
        cmocka_unit_test(test_a_quoted_value_is_the_same),
        cmocka_unit_test(test_a_wrong_parameter_declines_the_offer),
        cmocka_unit_test(test_what_is_no_list_of_extensions_is_told),
        cmocka_unit_test(test_an_answer_keeps_to_the_offer),
        cmocka_unit_test(test_an_answer_that_was_not_offered_is_refused),
        cmocka_unit_test(test_a_client_offers_what_bounds_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
