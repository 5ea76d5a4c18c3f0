/*
 * The reader of chunked bodies (http/chunked.h): the grammar of RFC 9112, section 7.1, strictly,
 * its limits, and no difference where the bytes are cut.
 */
#include "http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ml_http_chunked chunked;
static char payload[256];
static size_t payload_size, taken_size;

/* Feeds bytes [from, to): 0 or the error. */
static int feed(const char *bytes, size_t from, size_t to)
{
    taken_size = from;
    while (taken_size < to && !ml_http_chunked_is_over(&chunked)) {
        struct ml_http_text piece;
        ptrdiff_t taken =
            ml_http_chunked_feed(&chunked, bytes + taken_size, to - taken_size, &piece);
        if (taken < 0)
            return (int)taken;
        assert_true(taken > 0 && payload_size + piece.size <= sizeof payload);
        memcpy(payload + payload_size, piece.at, piece.size);
        payload_size += piece.size;
        taken_size += (size_t)taken;
    }
    return 0;
}

static int read_cut(const char *bytes, size_t size, size_t cut)
{
    ml_http_chunked_begin(&chunked);
    payload_size = 0;
    int error = feed(bytes, 0, cut);
    return error < 0 || ml_http_chunked_is_over(&chunked) ? error : feed(bytes, cut, size);
}

/* 0 or the error, the same wherever the bytes are cut in two. */
static int read_text(const char *text)
{
    size_t size = strlen(text);
    int whole = read_cut(text, size, size);
    bool is_over = ml_http_chunked_is_over(&chunked);
    size_t bytes = payload_size;
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(read_cut(text, size, cut), whole);
        assert_int_equal(ml_http_chunked_is_over(&chunked), is_over);
        assert_int_equal(payload_size, bytes);
    }
    return whole;
}

static void test_payload_is_what_stands_in_the_chunks(void **state)
{
    (void)state;
    static const char text[] =
        "5\r\nhello\r\n00a;x;y=z;w=\"q\\\"r\"\r\n0123456789\r\n0\r\nX: y\r\n";
    assert_int_equal(read_text(text), 0);
    assert_true(ml_http_chunked_is_over(&chunked));
    assert_int_equal(payload_size, 15);
    assert_memory_equal(payload, "hello0123456789", 15);
    assert_int_equal(taken_size, strlen(text) - strlen("X: y\r\n"));
}

static void test_what_the_grammar_does_not_allow_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
    } cases[] = {
        {"\r\n", ML_HTTP_BAD_CHUNK},
        {"g\r\n", ML_HTTP_BAD_CHUNK},
        {"-1\r\n", ML_HTTP_BAD_CHUNK},
        {"+1\r\n", ML_HTTP_BAD_CHUNK},
        {"0x1\r\n", ML_HTTP_BAD_CHUNK},
        {" 1\r\n", ML_HTTP_BAD_CHUNK},
        {"1 \r\n", ML_HTTP_BAD_CHUNK},
        {"1_0\r\n", ML_HTTP_BAD_CHUNK},
        {"1\n", ML_HTTP_BAD_CHUNK},
        {"1\rx", ML_HTTP_BAD_END},
        {"1;\r\n", ML_HTTP_BAD_EXTENSION},
        {"1;a=\r\n", ML_HTTP_BAD_EXTENSION},
        {"1;a=\"b\n\"", ML_HTTP_BAD_EXTENSION},
        {"1;a=\"\\\n", ML_HTTP_BAD_EXTENSION},
        {"1;a\n", ML_HTTP_BAD_EXTENSION},
        {"1;a \r\n", ML_HTTP_BAD_EXTENSION},
        {"1;a=\"b\"c\r\n", ML_HTTP_BAD_EXTENSION},
        {"1\r\nab\r\n", ML_HTTP_BAD_CHUNK},
        {"1\r\na\n", ML_HTTP_BAD_CHUNK},
        {"1\r\na\rb", ML_HTTP_BAD_END},
        {"8000000000000000\r\n", ML_HTTP_CHUNK_TOO_LARGE},
        {"00000000000000001\r\n", ML_HTTP_CHUNK_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_text(cases[i].text), cases[i].error);
    assert_int_equal(read_text("7fffffffffffffff\r\n"), 0);
}

static void test_an_error_stays(void **state)
{
    (void)state;
    struct ml_http_text piece;
    assert_int_equal(read_text("x"), ML_HTTP_BAD_CHUNK);
    assert_int_equal(ml_http_chunked_feed(&chunked, "0\r\n", 3, &piece), ML_HTTP_BAD_CHUNK);
    assert_false(ml_http_chunked_is_over(&chunked));
}

static void test_extensions_are_limited_in_a_chunk_and_in_the_body(void **state)
{
    (void)state;
    char line[ML_HTTP_EXTENSION_MAX + 16] = "1;";
    memset(line + 2, 'a', ML_HTTP_EXTENSION_MAX + 1);
    ml_http_chunked_begin(&chunked);
    assert_int_equal(feed(line, 0, 3 + ML_HTTP_EXTENSION_MAX), ML_HTTP_LONG_EXTENSIONS);
    ml_http_chunked_begin(&chunked);
    payload_size = 0;
    int error = 0, chunks = 0;
    memcpy(line + 1002, "\r\nx\r\n", 5);
    while (error == 0 && chunks++ < 100)
        error = feed(line, 0, 1007);
    assert_int_equal(error, ML_HTTP_LONG_EXTENSIONS);
    assert_in_range(chunks, 10, 17);
}

static void test_a_line_written_is_read_again(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 15, 16, 255, 4096, INT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char line[ML_HTTP_CHUNK_LINE];
        size_t size = ml_http_chunk_line(line, sizes[i]);
        ml_http_chunked_begin(&chunked);
        assert_int_equal(feed(line, 0, size), 0);
        assert_int_equal(chunked.left, sizes[i]);
        assert_int_equal(ml_http_chunked_is_over(&chunked), sizes[i] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_is_what_stands_in_the_chunks),
        cmocka_unit_test(test_what_the_grammar_does_not_allow_is_an_error),
        cmocka_unit_test(test_an_error_stays),
        cmocka_unit_test(test_extensions_are_limited_in_a_chunk_and_in_the_body),
        cmocka_unit_test(test_a_line_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
