/*
 * The small grammars of fields (http/syntax.h): classes of bytes, lists, parameters, quoted
 * strings, weights.
 */
#include "http/syntax.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void is_text(struct ml_http_text text, const char *expected)
{
    if (text.size != strlen(expected) || memcmp(text.at, expected, text.size) != 0)
        fail_msg("\"%.*s\" instead of \"%s\"", (int)text.size, text.at, expected);
}

/* Each class, written as the RFCs do. */
static void classes_are_those_of_the_grammar(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        bool is_digit = i >= '0' && i <= '9';
        bool is_alpha = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
        bool is_token = is_digit || is_alpha || (i > 0 && strchr("!#$%&'*+-.^_`|~", i) != NULL);
        bool is_host = is_digit || is_alpha || (i > 0 && strchr("-._~!$&'()*+,;=", i) != NULL);
        bool is_content = i == '\t' || i == ' ' || (i > ' ' && i != 0x7f);
        assert_int_equal(ml_http_is(c, ML_HTTP_TOKEN), is_token);
        assert_int_equal(ml_http_is(c, ML_HTTP_DIGIT), is_digit);
        assert_int_equal(ml_http_is(c, ML_HTTP_HEX),
                         is_digit || (i > 0 && strchr("abcdefABCDEF", i) != NULL));
        assert_int_equal(ml_http_is(c, ML_HTTP_TEXT), is_content);
        assert_int_equal(ml_http_is(c, ML_HTTP_QUOTED), is_content && i != '"' && i != '\\');
        assert_int_equal(ml_http_is(c, ML_HTTP_HOSTS), is_host);
        assert_int_equal(ml_http_is(c, ML_HTTP_QUERY),
                         i > ' ' && i < 0x7f && strchr("\"#<>", i) == NULL);
        if (ml_http_is(c, ML_HTTP_PATH))
            assert_true(ml_http_is(c, ML_HTTP_QUERY) && i != '?' && i != '%');
    }
}

static void values_have_no_control_characters(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        char text[] = {'a', (char)i, 'b'};
        bool is_fine = i == '\t' || (i >= ' ' && i != 0x7f);
        assert_int_equal(ml_http_is_field_value(text, 3), is_fine);
        assert_int_equal(ml_http_is_reason(text, 3), is_fine);
    }
    assert_true(ml_http_is_field_value("", 0));
    assert_false(ml_http_is_field_value(" a", 2));
    assert_false(ml_http_is_field_value("a\t", 2));
    assert_true(ml_http_is_reason(" a ", 3));
    assert_false(ml_http_is_token("", 0));
    assert_false(ml_http_is_token("a b", 3));
}

static void lists_leave_out_what_is_empty(void **state)
{
    (void)state;
    static const char text[] = " ,a , \"b,\\\",c\";d,, \t,e";
    struct ml_http_text rest = {text, sizeof text - 1}, element;
    assert_true(ml_http_list_next(&rest, &element));
    is_text(element, "a");
    assert_true(ml_http_list_next(&rest, &element));
    is_text(element, "\"b,\\\",c\";d");
    assert_true(ml_http_list_next(&rest, &element));
    is_text(element, "e");
    assert_false(ml_http_list_next(&rest, &element));
    assert_true(ml_http_list_has("a, Keep-Alive", 13, "keep-alive"));
    assert_false(ml_http_list_has("keep-alive-not, \"keep-alive\"", 28, "keep-alive"));
    assert_false(ml_http_list_has("\"open, keep-alive", 17, "keep-alive"));
    assert_false(ml_http_list_has("", 0, "a"));
}

/* Many quotes that are not closed once cost as much as their number times the length. */
static void an_open_quote_reaches_to_the_end(void **state)
{
    (void)state;
    static char text[1 << 20];
    memset(text, '"', sizeof text);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = '\1';
    struct ml_http_text rest = {text, sizeof text}, element;
    assert_true(ml_http_list_next(&rest, &element));
    assert_int_equal(element.size, sizeof text);
    assert_false(ml_http_list_next(&rest, &element));
}

static void parameters_are_names_with_values(void **state)
{
    (void)state;
    static const char text[] = " ; a=b;; C=\"d\\\"e;\" ;f=g";
    struct ml_http_text rest = {text, sizeof text - 1}, name, value;
    char plain[16];
    assert_int_equal(ml_http_parameter_next(&rest, &name, &value), 1);
    is_text(name, "a");
    is_text(value, "b");
    assert_int_equal(ml_http_parameter_next(&rest, &name, &value), 1);
    is_text(name, "C");
    is_text((struct ml_http_text){plain, ml_http_unquote(value, plain)}, "d\"e;");
    assert_int_equal(ml_http_parameter_next(&rest, &name, &value), 1);
    is_text(value, "g");
    assert_int_equal(ml_http_parameter_next(&rest, &name, &value), 0);
    static const char *const bad[] = {"a=b",   ";a",  ";a=",    ";a =b",
                                      ";a= b", ";=b", ";a=\"b", ";a=b c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int result = 1;
        rest = (struct ml_http_text){bad[i], strlen(bad[i])};
        while (result > 0)
            result = ml_http_parameter_next(&rest, &name, &value);
        assert_int_equal(result, -1);
    }
    static const char type[] = "text/html; x=\"charset=no\"; Charset=utf-8";
    assert_true(ml_http_parameter(type, sizeof type - 1, "charset", &value));
    is_text(value, "utf-8");
    assert_false(ml_http_parameter(type, sizeof type - 1, "boundary", &value));
}

static void quoted_strings_end_with_their_quote(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {{"\"\"", 2},      {"\"a\"b", 3},    {"\"\\\"\"", 4},   {"\"\\\\\"", 4},
                 {"", 0},          {"\"", 0},        {"a\"\"", 0},      {"\"a", 0},
                 {"\"\\\"", 0},    {"\"a\x01\"", 0}, {"\"\\\x01\"", 0}, {"\"\x7f\"", 0},
                 {"\"\t\xe4\"", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ml_http_quoted_size(cases[i].text, strlen(cases[i].text)), cases[i].size);
}

static void weights_have_three_places(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int weight;
    } cases[] = {{"0", 0},      {"1", 1000},    {"0.", 0},       {"1.", 1000}, {"0.5", 500},
                 {"0.05", 50},  {"0.375", 375}, {"1.000", 1000}, {"0.001", 1}, {"", -1},
                 {"1.001", -1}, {"2", -1},      {"0.0001", -1},  {".5", -1},   {"-0", -1},
                 {"00", -1},    {"0,5", -1},    {"0.x", -1},     {"1e0", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ml_http_weight(cases[i].text, strlen(cases[i].text)), cases[i].weight);
}

static void words_are_compared_in_any_case(void **state)
{
    (void)state;
    assert_true(ml_http_is_same_word("cHuNkEd", 7, "chunked"));
    assert_false(ml_http_is_same_word("chunke", 6, "chunked"));
    assert_false(ml_http_is_same_word("chunkedx", 8, "chunked"));
    assert_false(ml_http_is_same_word("chunked\0", 8, "chunked"));
    assert_false(ml_http_is_same_word("[", 1, "{"));
    assert_false(ml_http_is_same_word("\xe4", 1, "\xc4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_those_of_the_grammar),
        cmocka_unit_test(values_have_no_control_characters),
        cmocka_unit_test(lists_leave_out_what_is_empty),
        cmocka_unit_test(an_open_quote_reaches_to_the_end),
        cmocka_unit_test(parameters_are_names_with_values),
        cmocka_unit_test(quoted_strings_end_with_their_quote),
        cmocka_unit_test(weights_have_three_places),
        cmocka_unit_test(words_are_compared_in_any_case),
    };
    return cmocka_run_group_tests_name("http.syntax", tests, NULL, NULL);
}
