/*
 * Request targets and Host fields (http/target.h): the four forms are taken apart, and what is none
 * is refused.
 */
#include "http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ml_http_head head;

/* From memory that ends where the target does. */
static int read_as(const char *text, enum ml_http_method method)
{
    size_t size = strlen(text);
    char *copy = malloc(size + (size == 0));
    memcpy(copy, text, size);
    ml_http_head_init(&head, NULL, 0);
    head.bytes = copy;
    head.target.size = (uint32_t)size;
    head.method_id = method;
    int result = ml_http_read_target(&head);
    head.bytes = text;
    free(copy);
    return result;
}

static void is_slice(struct ml_http_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(ml_http_at(&head, slice), text, slice.size);
}

static void the_forms_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *authority, *path, *query;
        enum ml_http_target form;
        enum ml_http_method method;
        bool has_query;
    } cases[] = {
        {"/", "", "", "/", "", ML_HTTP_TARGET_ORIGIN, ML_HTTP_GET, false},
        {"/a%20b?", "", "", "/a%20b", "", ML_HTTP_TARGET_ORIGIN, ML_HTTP_GET, true},
        {"/a?b?/c", "", "", "/a", "b?/c", ML_HTTP_TARGET_ORIGIN, ML_HTTP_OPTIONS, true},
        {"//a/b", "", "", "//a/b", "", ML_HTTP_TARGET_ORIGIN, ML_HTTP_GET, false},
        {"http://a", "http", "a", "", "", ML_HTTP_TARGET_ABSOLUTE, ML_HTTP_GET, false},
        {"HTTPS://a:8/b?c", "HTTPS", "a:8", "/b", "c", ML_HTTP_TARGET_ABSOLUTE, ML_HTTP_GET, true},
        {"x+y-z.1://[::1]?c", "x+y-z.1", "[::1]", "", "c", ML_HTTP_TARGET_ABSOLUTE, ML_HTTP_PUT,
         true},
        {"a:1", "", "a:1", "", "", ML_HTTP_TARGET_AUTHORITY, ML_HTTP_CONNECT, false},
        {"[::1]:1", "", "[::1]:1", "", "", ML_HTTP_TARGET_AUTHORITY, ML_HTTP_CONNECT, false},
        {"*", "", "", "", "", ML_HTTP_TARGET_ASTERISK, ML_HTTP_OPTIONS, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_as(cases[i].text, cases[i].method), 0);
        assert_int_equal(head.target_form, cases[i].form);
        is_slice(head.scheme, cases[i].scheme);
        is_slice(head.authority, cases[i].authority);
        is_slice(head.path, cases[i].path);
        is_slice(head.query, cases[i].query);
        assert_int_equal(head.has_query, cases[i].has_query);
    }
}

static void what_is_no_target_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "a",
        "a/b",
        "?a",
        "*",
        "*a",
        "/%",
        "/%0",
        "/%0g",
        "/a{",
        "/a}",
        "/a\\",
        "http:",
        "http:/a",
        "http://",
        "http:///a",
        "http://?",
        "://a",
        "1a://b",
        "a_b://c",
        "http://u@a",
        "http://a:x",
        "http://a:65536",
        "http://:1",
        "http://[::1",
        "http://[::1]x",
        "http://[a]",
        "http://a%",
        "http://a\\b",
        "a:443",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_as(bad[i], ML_HTTP_GET) == 0)
            fail_msg("%s is a target", bad[i]);
    static const char *const bad_connects[] = {
        "",        "/",     "*",    "a",          "a:",    ":1",     "a:x", "a:-1",
        "a:65536", "u@a:1", "a:1/", "http://a:1", "[::1]", "[::1]:", "[]:1"};
    for (size_t i = 0; i < sizeof bad_connects / sizeof *bad_connects; i++)
        if (read_as(bad_connects[i], ML_HTTP_CONNECT) == 0)
            fail_msg("%s is a host with a port", bad_connects[i]);
}

static void hosts_have_a_port_or_none(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",          "a",     "a.b-c_d", "a:",  "a:0",     "a:65535",
        "127.0.0.1", "[::1]", "[::1]:1", "%41", "a,b;c=d", "[::ffff:1.2.3.4]"};
    static const char *const bad[] = {":",     ":1",     "a:65536",    "a:99999999999999999999",
                                      "a:1:1", "a:+1",   "a: 1",       "a b",
                                      "a/",    "a?",     "a#",         "a@b",
                                      "[",     "[]",     "[::1",       "[::1]1",
                                      "[1]",   "[v1.a]", "[::1%25lo]", "::1",
                                      "%",     "%4",     "a\x80",      "a\x01",
                                      "\\"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!ml_http_is_host(good[i], strlen(good[i])))
            fail_msg("%s is no host", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (ml_http_is_host(bad[i], strlen(bad[i])))
            fail_msg("%s is a host", bad[i]);
    assert_false(ml_http_is_host("a\0b", 3));
    assert_false(ml_http_is_host("[::1\0]", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_forms_are_taken_apart),
        cmocka_unit_test(what_is_no_target_is_refused),
        cmocka_unit_test(hosts_have_a_port_or_none),
    };
    return cmocka_run_group_tests_name("http.target", tests, NULL, NULL);
}
