/* URLs in C: where the parts are, what is refused and where, references, room. */
#include "base/error.h"
#include "http/percent.h"
#include "http/url.h"
#include "http/url_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In a block of its very size, so that a read beyond its end is seen. */
static char *copy_of(const char *text, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    return copy;
}

static void assert_part(struct ml_slice part, const char *expected)
{
    if (expected == NULL) {
        assert_null(part.data);
        return;
    }
    assert_non_null(part.data);
    assert_int_equal(part.size, strlen(expected));
    assert_memory_equal(part.data, expected, part.size);
}

static void test_the_parts_are_slices_of_the_text(void **state)
{
    (void)state;
    const char *text = "HTTP://me:pw@Example.ORG:8080/a/b;c?q=1&r=[]#top?";
    struct ml_url url;
    struct ml_url_error error;
    assert_int_equal(ml_url_parse(text, strlen(text), &url, &error), 0);
    assert_part(url.scheme, "HTTP");
    assert_part(url.userinfo, "me:pw");
    assert_part(url.host, "Example.ORG");
    assert_part(url.port, "8080");
    assert_part(url.path, "/a/b;c");
    assert_part(url.query, "q=1&r=[]");
    assert_part(url.fragment, "top?");
    assert_int_equal(url.port_number, 8080);
    assert_true(ml_url_is_http(&url));
    assert_ptr_equal(url.path.data, strchr(text + 7, '/'));
}

static void test_absent_parts_are_told_from_empty_ones(void **state)
{
    (void)state;
    struct ml_url url;
    struct ml_url_error error;
    assert_int_equal(ml_url_parse("x://@:?#", 8, &url, &error), 0);
    assert_part(url.userinfo, "");
    assert_part(url.host, "");
    assert_part(url.port, "");
    assert_part(url.query, "");
    assert_part(url.fragment, "");
    assert_int_equal(url.port_number, -1);
    assert_int_equal(ml_url_parse("", 0, &url, &error), 0);
    assert_part(url.scheme, NULL);
    assert_part(url.host, NULL);
    assert_part(url.path, "");
    assert_part(url.query, NULL);
}

static int port_of(const char *text)
{
    struct ml_url url;
    struct ml_url_error error;
    assert_int_equal(ml_url_parse(text, strlen(text), &url, &error), 0);
    return url.port_number;
}

static void test_the_port_is_that_of_the_text(void **state)
{
    (void)state;
    assert_int_equal(port_of("http://h"), -1);
    assert_int_equal(port_of("HTTPS://h:"), -1);
    assert_int_equal(port_of("wss://h:0"), 0);
    assert_int_equal(port_of("wss://h:000000065535"), 65535);
    assert_int_equal(port_of("ftp://h:21"), 21);
}

static void test_a_bad_byte_is_found_at_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {{"http://h/a b", 10},
                 {"http://h/\r\n", 9},
                 {"http://h/%4", 9},
                 {"http://h/%zz", 9},
                 {"http://h/?%", 10},
                 {"http://h:65536/", 9},
                 {"http://h:8a/", 10},
                 {"http://[::1", 7},
                 {"http://[::1]x/", 12},
                 {"http://[1.2.3.4]/", 8},
                 {"http://[]/", 8},
                 {"http:///path", 7},
                 {"http://:80/", 7},
                 {"http://h%41/", 8},
                 {"http://a@b@c/", 10},
                 {"http://h\\@evil/", 8},
                 {"1http://h", 0},
                 {":a", 0},
                 {"ht tp://h", 2},
                 {"http://\xc3\xa4/", 7},
                 {"http://h/\x7f", 9},
                 {"http://h/a[b]", 10},
                 {"http://h/#a#b", 11},
                 {"http://h/<a>", 9},
                 {"https://user name@h/", 12}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_url url;
        struct ml_url_error error = {0};
        size_t size = strlen(cases[i].text);
        char *text = copy_of(cases[i].text, size);
        if (ml_url_parse(text, size, &url, &error) != -ML_EURL || error.at != cases[i].at)
            fail_msg("%s: at %zu", cases[i].text, error.at);
        assert_non_null(error.reason);
        free(text);
    }
}

static void test_no_part_takes_a_control_a_space_or_a_byte_beyond_ascii(void **state)
{
    (void)state;
    static const char *const forms[] = {"?://h/",  "x://?@h/", "x://h?h/", "x://h:?/",
                                        "x://h/?", "x://h/?q", "x://h/#?", "?"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t size = strlen(forms[i]);
        for (int byte = 0; byte < 256; byte++) {
            struct ml_url url;
            struct ml_url_error error;
            char text[16];
            memcpy(text, forms[i], size);
            *(char *)memchr(text, '?', size) = (char)byte;
            if (byte <= ' ' || byte >= 0x7f)
                assert_int_equal(ml_url_parse(text, size, &url, &error), -ML_EURL);
        }
    }
}

static char *joined(const char *base, const char *reference)
{
    struct ml_url b, r;
    struct ml_url_error error;
    assert_int_equal(ml_url_parse(base, strlen(base), &b, &error), 0);
    assert_int_equal(ml_url_parse(reference, strlen(reference), &r, &error), 0);
    size_t room = ml_url_join_room(&b, &r);
    char *out = malloc(room + 1);
    assert_non_null(out);
    size_t size = ml_url_join(&b, &r, out);
    assert_true(size <= room);
    out[size] = '\0';
    return out;
}

static void assert_joined(const char *base, const char *reference, const char *expected)
{
    char *out = joined(base, reference);
    if (strcmp(out, expected) != 0)
        fail_msg("%s + %s: %s", base, reference, out);
    free(out);
}

static void test_references_are_resolved_as_the_rfc_shows(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"g:h", "g:h"},
                                           {"g", "http://a/b/c/g"},
                                           {"./g", "http://a/b/c/g"},
                                           {"g/", "http://a/b/c/g/"},
                                           {"/g", "http://a/g"},
                                           {"//g", "http://g"},
                                           {"?y", "http://a/b/c/d;p?y"},
                                           {"g?y", "http://a/b/c/g?y"},
                                           {"#s", "http://a/b/c/d;p?q#s"},
                                           {"g#s", "http://a/b/c/g#s"},
                                           {"g?y#s", "http://a/b/c/g?y#s"},
                                           {";x", "http://a/b/c/;x"},
                                           {"g;x", "http://a/b/c/g;x"},
                                           {"g;x?y#s", "http://a/b/c/g;x?y#s"},
                                           {"", "http://a/b/c/d;p?q"},
                                           {".", "http://a/b/c/"},
                                           {"./", "http://a/b/c/"},
                                           {"..", "http://a/b/"},
                                           {"../", "http://a/b/"},
                                           {"../g", "http://a/b/g"},
                                           {"../..", "http://a/"},
                                           {"../../", "http://a/"},
                                           {"../../g", "http://a/g"},
                                           {"../../../g", "http://a/g"},
                                           {"../../../../g", "http://a/g"},
                                           {"/./g", "http://a/g"},
                                           {"/../g", "http://a/g"},
                                           {"g.", "http://a/b/c/g."},
                                           {".g", "http://a/b/c/.g"},
                                           {"g..", "http://a/b/c/g.."},
                                           {"..g", "http://a/b/c/..g"},
                                           {"./../g", "http://a/b/g"},
                                           {"./g/.", "http://a/b/c/g/"},
                                           {"g/./h", "http://a/b/c/g/h"},
                                           {"g/../h", "http://a/b/c/h"},
                                           {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
                                           {"g;x=1/../y", "http://a/b/c/y"},
                                           {"g?y/./x", "http://a/b/c/g?y/./x"},
                                           {"g?y/../x", "http://a/b/c/g?y/../x"},
                                           {"g#s/./x", "http://a/b/c/g#s/./x"},
                                           {"g#s/../x", "http://a/b/c/g#s/../x"},
                                           {"http:g", "http:g"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_joined("http://a/b/c/d;p?q", cases[i][0], cases[i][1]);
}

static void test_a_joined_url_reads_as_what_it_is(void **state)
{
    (void)state;
    assert_joined("HTTP://U:P@Host", "x", "http://U:P@host/x");
    assert_joined("http://[::A]:1/", "//[::B]", "http://[::b]");
    assert_joined("http://h/a?b#c", "", "http://h/a?b");
    assert_joined("a:/b/c", "..//d", "a:/.//d"); /* no host d */
    assert_joined("/a/b", "../../c", "/c");
    assert_joined("a/b", "../c", "c"); /* relative, as its base is */
    assert_joined("a/b", "..", "./");
    assert_joined("a", "./b:c", "./b:c"); /* no scheme b */
    assert_joined("mailto:a", "?q", "mailto:a?q");
    assert_joined("http://h/a//b", "../c", "http://h/a/c");
}

static void test_percent_encoding_goes_both_ways(void **state)
{
    (void)state;
    char all[256], encoded[768], decoded[768];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    for (int is_form = 0; is_form < 2; is_form++) {
        size_t size = ml_percent_encode(all, sizeof all, is_form, encoded);
        assert_int_equal(ml_percent_decode(encoded, size, is_form, decoded), sizeof all);
        assert_memory_equal(decoded, all, sizeof all);
    }
    assert_int_equal(ml_percent_decode("%2", 2, false, decoded), -1);
    assert_int_equal(ml_percent_decode("a%", 2, false, decoded), -1);
    assert_int_equal(ml_percent_decode("%g0", 3, false, decoded), -1);
    assert_int_equal(ml_percent_decode("+", 1, false, decoded), 1);
    assert_int_equal(decoded[0], '+');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parts_are_slices_of_the_text),
        cmocka_unit_test(test_absent_parts_are_told_from_empty_ones),
        cmocka_unit_test(test_the_port_is_that_of_the_text),
        cmocka_unit_test(test_a_bad_byte_is_found_at_its_place),
        cmocka_unit_test(test_no_part_takes_a_control_a_space_or_a_byte_beyond_ascii),
        cmocka_unit_test(test_references_are_resolved_as_the_rfc_shows),
        cmocka_unit_test(test_a_joined_url_reads_as_what_it_is),
        cmocka_unit_test(test_percent_encoding_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
