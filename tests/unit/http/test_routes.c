/* Which of many patterns a path is for. */
#include "http/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ml_routes routes;

/* Adds a pattern: segments behind "/"; "{}" is a parameter, "{...}" the rest. */
static int add(enum ml_route_method method, const char *pattern, int number)
{
    struct ml_route_segment segments[64];
    size_t count = 0;
    const char *at = pattern;
    while (*at == '/') {
        const char *end = ++at;
        while (*end != '\0' && *end != '/')
            end++;
        size_t size = (size_t)(end - at);
        enum ml_route_segment_kind kind = size == 2 && memcmp(at, "{}", 2) == 0 ? ML_ROUTE_PARAMETER
                                          : size == 5 && memcmp(at, "{...}", 5) == 0
                                              ? ML_ROUTE_REST
                                              : ML_ROUTE_TEXT;
        segments[count++] = (struct ml_route_segment){kind, at, size};
        at = end;
    }
    return ml_routes_add(&routes, method, segments, count, number);
}

static int end(void **state)
{
    (void)state;
    ml_routes_release(&routes);
    return 0;
}

static struct ml_route_match match;

static int find(enum ml_route_method method, const char *path)
{
    ml_routes_find(&routes, method, path, strlen(path), &match);
    return match.route;
}

static void assert_value(unsigned index, const char *expected)
{
    char value[256];
    assert_true(index < match.count);
    size_t size = ml_route_value(match.values[index].data, match.values[index].size, value);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(value, expected, size);
}

static void test_texts_are_compared_as_a_whole(void **state)
{
    (void)state;
    assert_int_equal(find(ML_ROUTE_GET, "/"), 0);
    add(ML_ROUTE_GET, "/", 1);
    add(ML_ROUTE_GET, "/a", 2);
    add(ML_ROUTE_GET, "/a/", 3);
    add(ML_ROUTE_GET, "/a/b", 4);
    assert_int_equal(find(ML_ROUTE_GET, "/"), 1);
    assert_int_equal(find(ML_ROUTE_GET, "/a"), 2);
    assert_int_equal(find(ML_ROUTE_GET, "/a/"), 3);
    assert_int_equal(find(ML_ROUTE_GET, "/a/b"), 4);
    assert_int_equal(find(ML_ROUTE_GET, "/ab"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "//a"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/a/b/"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/A"), 0);
    assert_int_equal(find(ML_ROUTE_GET, ""), 0);
    assert_int_equal(find(ML_ROUTE_GET, "*"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "a"), 0);
}

static void test_a_parameter_is_one_segment_that_is_not_empty(void **state)
{
    (void)state;
    add(ML_ROUTE_GET, "/u/{}", 1);
    add(ML_ROUTE_GET, "/u/{}/x/{}", 2);
    assert_int_equal(find(ML_ROUTE_GET, "/u/42"), 1);
    assert_value(0, "42");
    assert_int_equal(find(ML_ROUTE_GET, "/u/"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/u"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/u/1/x/2"), 2);
    assert_int_equal(match.count, 2);
    assert_value(0, "1");
    assert_value(1, "2");
    assert_int_equal(find(ML_ROUTE_GET, "/u/1/x/"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/u//x/2"), 0);
    assert_int_equal(match.count, 0);
}

static void test_the_rest_is_one_segment_at_least(void **state)
{
    (void)state;
    add(ML_ROUTE_GET, "/f/{...}", 1);
    assert_int_equal(find(ML_ROUTE_GET, "/f"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/f/"), 1);
    assert_value(0, "");
    assert_int_equal(find(ML_ROUTE_GET, "/f/a/b//c"), 1);
    assert_value(0, "a/b//c");
}

static void test_the_most_specific_pattern_wins(void **state)
{
    (void)state;
    add(ML_ROUTE_GET, "/{...}", 1);
    add(ML_ROUTE_GET, "/{}/b", 2);
    add(ML_ROUTE_GET, "/a/{}", 3);
    add(ML_ROUTE_GET, "/a/c", 4);
    assert_int_equal(find(ML_ROUTE_GET, "/a/c"), 4);
    assert_int_equal(find(ML_ROUTE_GET, "/a/b"), 3);
    assert_int_equal(find(ML_ROUTE_GET, "/x/b"), 2);
    assert_int_equal(match.count, 1);
    assert_value(0, "x");
    assert_int_equal(find(ML_ROUTE_GET, "/x/c"), 1);
    assert_int_equal(match.count, 1);
    assert_value(0, "x/c");
    assert_int_equal(find(ML_ROUTE_GET, "/a/b/c"), 1);
    assert_int_equal(match.count, 1);
    assert_value(0, "a/b/c");
}

static void test_methods_that_would_match_are_told(void **state)
{
    (void)state;
    add(ML_ROUTE_POST, "/a", 1);
    add(ML_ROUTE_PUT, "/{}", 2);
    assert_int_equal(find(ML_ROUTE_GET, "/a"), 0);
    assert_int_equal(match.allowed, 1u << ML_ROUTE_POST | 1u << ML_ROUTE_PUT);
    assert_int_equal(find(ML_ROUTE_PUT, "/a"), 2);
    assert_int_equal(find(ML_ROUTE_GET, "/b/c"), 0);
    assert_int_equal(match.allowed, 0);
}

static void test_get_answers_head_and_any_answers_all(void **state)
{
    (void)state;
    add(ML_ROUTE_GET, "/a", 1);
    assert_int_equal(find(ML_ROUTE_HEAD, "/a"), 1);
    add(ML_ROUTE_HEAD, "/a", 2);
    assert_int_equal(find(ML_ROUTE_HEAD, "/a"), 2);
    add(ML_ROUTE_ANY, "/b", 3);
    assert_int_equal(find(ML_ROUTE_HEAD, "/b"), 3);
    assert_int_equal(find(ml_route_method_by_name("PURGE", 5), "/b"), 3);
    assert_int_equal(find(ml_route_method_by_name("PURGE", 5), "/a"), 0);
}

static void test_segments_are_compared_decoded(void **state)
{
    (void)state;
    add(ML_ROUTE_GET, "/a b/c", 1);
    add(ML_ROUTE_GET, "/x/{}", 2);
    add(ML_ROUTE_GET, "/%zz", 3);
    add(ML_ROUTE_GET, "/d/{...}", 4);
    assert_int_equal(find(ML_ROUTE_GET, "/a%20b/c"), 1);
    assert_int_equal(find(ML_ROUTE_GET, "/%61%20%62/%63"), 1);
    assert_int_equal(find(ML_ROUTE_GET, "/a%20/c"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/a%20b%00/c"), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/x/1%2F2"), 2);
    assert_value(0, "1/2");
    assert_int_equal(find(ML_ROUTE_GET, "/%zz"), 3);
    assert_int_equal(find(ML_ROUTE_GET, "/x/%4"), 2);
    assert_value(0, "%4");
    assert_int_equal(find(ML_ROUTE_GET, "/d/%41/%4/b%2fc"), 4);
    assert_value(0, "A/%4/b/c");
}

static void test_a_pattern_stands_once_per_method(void **state)
{
    (void)state;
    assert_int_equal(add(ML_ROUTE_GET, "/a/{}", 7), 0);
    assert_int_equal(add(ML_ROUTE_GET, "/a/{}", 8), 7);
    assert_int_equal(add(ML_ROUTE_POST, "/a/{}", 9), 0);
    assert_int_equal(find(ML_ROUTE_GET, "/a/1"), 7);
}

static void test_many_routes_are_all_found(void **state)
{
    (void)state;
    char pattern[64];
    for (int i = 1; i <= 5000; i++) {
        snprintf(pattern, sizeof pattern, "/r/%d/{}/x", i);
        assert_int_equal(add(ML_ROUTE_GET, pattern, i), 0);
    }
    for (int i = 1; i <= 5000; i++) {
        snprintf(pattern, sizeof pattern, "/r/%d/v/x", i);
        assert_int_equal(find(ML_ROUTE_GET, pattern), i);
    }
    assert_int_equal(find(ML_ROUTE_GET, "/r/5001/v/x"), 0);
}

static void test_a_path_of_many_segments_costs_no_depth(void **state)
{
    (void)state;
    static char path[1 << 20];
    memset(path, '/', sizeof path);
    add(ML_ROUTE_GET, "/{}/{...}", 1);
    add(ML_ROUTE_GET, "//{...}", 2);
    ml_routes_find(&routes, ML_ROUTE_GET, path, sizeof path, &match);
    assert_int_equal(match.route, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_texts_are_compared_as_a_whole, end),
        cmocka_unit_test_teardown(test_a_parameter_is_one_segment_that_is_not_empty, end),
        cmocka_unit_test_teardown(test_the_rest_is_one_segment_at_least, end),
        cmocka_unit_test_teardown(test_the_most_specific_pattern_wins, end),
        cmocka_unit_test_teardown(test_methods_that_would_match_are_told, end),
        cmocka_unit_test_teardown(test_get_answers_head_and_any_answers_all, end),
        cmocka_unit_test_teardown(test_segments_are_compared_decoded, end),
        cmocka_unit_test_teardown(test_a_pattern_stands_once_per_method, end),
        cmocka_unit_test_teardown(test_many_routes_are_all_found, end),
        cmocka_unit_test_teardown(test_a_path_of_many_segments_costs_no_depth, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
