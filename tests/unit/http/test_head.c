/*
 * The reader of heads (http/head.h): what RFC 9112 calls invalid is an error with its status, and
 * where input is cut makes no difference.
 */
#include "http/framing.h"
#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIELDS = 100 };

static struct ml_http_field fields[FIELDS];
static struct ml_http_head head;
static struct ml_http_limits limits = {32 * 1024, 8 * 1024, FIELDS};

typedef int parse(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                  const struct ml_http_limits *limits);

/* All at once, from memory that ends where the bytes do. */
static int parse_whole(parse *parser, const char *bytes, size_t size)
{
    char *copy = malloc(size + (size == 0));
    memcpy(copy, bytes, size);
    ml_http_head_init(&head, fields, FIELDS);
    int result = parser(&head, copy, size, 0, &limits);
    free(copy);
    head.bytes = bytes;
    return result;
}

/* `step` bytes more at each call, the first piece having `first`. */
static int parse_pieces(parse *parser, const char *bytes, size_t size, size_t first, size_t step)
{
    size_t seen = 0, there = first < size ? first : size;
    ml_http_head_init(&head, fields, FIELDS);
    int result = parser(&head, bytes, there, 0, &limits);
    while (result == 0 && there < size) {
        seen = there;
        there = there + step < size ? there + step : size;
        result = parser(&head, bytes, there, seen, &limits);
    }
    return result;
}

static int result_of(parse *parser, const char *bytes, size_t size)
{
    int whole = parse_whole(parser, bytes, size);
    assert_int_equal(parse_pieces(parser, bytes, size, 1, 1), whole);
    for (size_t first = 1; first < size && size < 2000; first++)
        assert_int_equal(parse_pieces(parser, bytes, size, first, size), whole);
    return parse_whole(parser, bytes, size);
}

static int request(const char *text)
{
    return result_of(ml_http_parse_request, text, strlen(text));
}

static int response(const char *text)
{
    return result_of(ml_http_parse_response, text, strlen(text));
}

static void is_slice(struct ml_http_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(ml_http_at(&head, slice), text, slice.size);
}

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST
#define END "\r\n"

struct case_of {
    const char *text;
    int error;
};

static const struct case_of refused[] = {
    /* lines */
    {"GET / HTTP/1.1\nHost: a\n\n", ML_HTTP_BAD_END},
    {"GET / HTTP/1.1\rHost: a\r\r", ML_HTTP_BAD_END},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", ML_HTTP_BAD_END},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", ML_HTTP_BAD_END},
    {GET "A: b\rc: d\r\n" END, ML_HTTP_BAD_END},
    {GET "A: b\r\r\n" END, ML_HTTP_BAD_END},
    {GET "\rA: b\r\n" END, ML_HTTP_BAD_END},
    {"GET /\r\n\r\n", ML_HTTP_BAD_LINE},
    {"GET\r\n\r\n", ML_HTTP_BAD_LINE},
    {"GET  / HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_LINE},
    {"GET / HTTP/1.1 \r\n" HOST END, ML_HTTP_BAD_LINE},
    {"GET /  HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_LINE},
    {"GET\t/ HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_METHOD},
    {" GET / HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_METHOD},
    {"G(T / HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_METHOD},
    {"GET / http/1.1\r\n" HOST END, ML_HTTP_BAD_LINE},
    {"GET / HTTP/11\r\n" HOST END, ML_HTTP_BAD_LINE},
    {"GET / HTTP/1.10\r\n" HOST END, ML_HTTP_BAD_LINE},
    {"GET / HTTP/2.0\r\n" HOST END, ML_HTTP_BAD_VERSION},
    {"GET / HTTP/0.9\r\n" HOST END, ML_HTTP_BAD_VERSION},
    {"\r\n\r\n\r\n\r\n\r\n" GET END, ML_HTTP_BAD_LINE},
    {"\n" GET END, ML_HTTP_BAD_END},
    {"\x16\x03\x01", ML_HTTP_BAD_METHOD},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" HOST END, ML_HTTP_METHOD_TOO_LONG},
    /* fields */
    {GET "A: b\r\n c\r\n" END, ML_HTTP_BAD_FOLD},
    {"GET / HTTP/1.1\r\n Host: a\r\n" END, ML_HTTP_BAD_FOLD},
    {GET "A : b\r\n" END, ML_HTTP_BAD_NAME},
    {GET "A\t: b\r\n" END, ML_HTTP_BAD_NAME},
    {GET ": b\r\n" END, ML_HTTP_BAD_NAME},
    {GET "A\r\n" END, ML_HTTP_BAD_NAME},
    {GET "A\x80: b\r\n" END, ML_HTTP_BAD_NAME},
    {GET "A: b\x01\r\n" END, ML_HTTP_BAD_VALUE},
    {GET "A: b\x7f\r\n" END, ML_HTTP_BAD_VALUE},
    /* hosts */
    {"GET / HTTP/1.1\r\n" END, ML_HTTP_NO_HOST},
    {GET HOST END, ML_HTTP_TWO_HOSTS},
    {"GET / HTTP/1.0\r\n" HOST HOST END, ML_HTTP_TWO_HOSTS},
    {"GET / HTTP/1.1\r\nHost: a b\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a:65536\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: :80\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: [::g]\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: []\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: [::1]x\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: ::1\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a%zz\r\n" END, ML_HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: \x80\r\n" END, ML_HTTP_BAD_HOST},
    /* targets */
    {"GET a HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET a:80 HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET * HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"OPTIONS *a HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"CONNECT / HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"CONNECT a HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"CONNECT a: HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"CONNECT http://a:1/ HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET http:///x HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET http://u@a/ HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET /# HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET /%g0 HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET /% HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET /\x80 HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    {"GET /\x01 HTTP/1.1\r\n" HOST END, ML_HTTP_BAD_TARGET},
    /* framing */
    {GET "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" END, ML_HTTP_LENGTH_AND_CODING},
    {GET "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n" END, ML_HTTP_LENGTH_AND_CODING},
    {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END, ML_HTTP_OLD_CODING},
    {GET "Transfer-Encoding: chunked, gzip\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: chunked, chunked\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: gzip\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: xchunked\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: \"chunked\"\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: chunked;a=b\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: , chunked\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding:\r\n" END, ML_HTTP_BAD_CODING},
    {GET "Transfer-Encoding: \x0b"
         "chunked\r\n" END,
     ML_HTTP_BAD_VALUE},
    {GET "Transfer-Encoding: gzip, chunked\r\n" END, ML_HTTP_UNKNOWN_CODING},
    {GET "Content-Length: 1\r\nContent-Length: 1\r\n" END, ML_HTTP_TWO_LENGTHS},
    {GET "Content-Length: 1, 1\r\n" END, ML_HTTP_BAD_LENGTH},
    {GET "Content-Length: +1\r\n" END, ML_HTTP_BAD_LENGTH},
    {GET "Content-Length: -1\r\n" END, ML_HTTP_BAD_LENGTH},
    {GET "Content-Length: 0x1\r\n" END, ML_HTTP_BAD_LENGTH},
    {GET "Content-Length: 1 2\r\n" END, ML_HTTP_BAD_LENGTH},
    {GET "Content-Length:\r\n" END, ML_HTTP_BAD_LENGTH},
    {GET "Content-Length: 9223372036854775808\r\n" END, ML_HTTP_BAD_LENGTH},
    {GET "Content-Length: 18446744073709551616\r\n" END, ML_HTTP_BAD_LENGTH},
};

static void each_invalid_request_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        int result = request(refused[i].text);
        if (result != refused[i].error)
            print_error("%s -> %d\n", refused[i].text, result);
        assert_int_equal(result, refused[i].error);
    }
}

static void a_zero_byte_is_refused_everywhere(void **state)
{
    (void)state;
    char text[] = "GET /a HTTP/1.1\r\nHost: a\r\nB: c d\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        char c = text[i];
        text[i] = '\0';
        assert_true(result_of(ml_http_parse_request, text, sizeof text - 1) < 0);
        text[i] = c;
    }
}

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    const char *text = "\r\nPOST http://b:8/p%20q?x=[y] HTTP/1.1\r\nhOST:a\r\nX-Y: \t \xff b \t\r\n"
                       "Content-Length: 0005\r\nExpect: 100-Continue\r\nE:\r\n"
                       "Connection: x, CLOSE\r\n\r\nrest!";
    assert_int_equal(request(text), (int)strlen(text) - 5);
    assert_int_equal(head.method_id, ML_HTTP_POST);
    assert_int_equal(head.target_form, ML_HTTP_TARGET_ABSOLUTE);
    is_slice(head.scheme, "http");
    is_slice(head.authority, "b:8");
    is_slice(head.path, "/p%20q");
    is_slice(head.query, "x=[y]");
    assert_int_equal(head.field_count, 6);
    is_slice(head.fields[1].value, "\xff b");
    is_slice(ml_http_find_name(&head, "x-y", 3, NULL)->name, "X-Y");
    assert_null(ml_http_find_name(&head, "x-z", 3, NULL));
    assert_int_equal(head.content_length, 5);
    assert_int_equal(head.body, ML_HTTP_SIZED);
    assert_true(head.expects_continue && !head.keep_alive && !head.expects_other);
}

static void valid_requests_are_taken(void **state)
{
    (void)state;
    static const char *const valid[] = {
        GET END,
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a_b.example:\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT [::1]:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "BREW /?q=100%|{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
        GET "Transfer-Encoding: Chunked \r\n" END,
        GET "Content-Length: 9223372036854775807\r\n" END,
    };
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        assert_int_equal(request(valid[i]), (int)strlen(valid[i]));
}

static void limits_hold_at_the_byte(void **state)
{
    (void)state;
    const char *text = "GET /234 HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
    int size = (int)strlen(text);
    struct ml_http_limits kept = limits;
    for (int i = -1; i <= 1; i++) {
        limits = (struct ml_http_limits){(uint32_t)(size + i), 8, 2};
        assert_int_equal(request(text), i < 0 ? ML_HTTP_HEAD_TOO_LONG : size);
        limits = (struct ml_http_limits){1000, (uint32_t)(4 + i), 2};
        assert_int_equal(request(text), i < 0 ? ML_HTTP_TARGET_TOO_LONG : size);
        limits = (struct ml_http_limits){1000, 8, (uint16_t)(2 + i)};
        assert_int_equal(request(text), i < 0 ? ML_HTTP_TOO_MANY_FIELDS : size);
    }
    /* A response has no target that could be too long. */
    limits = (struct ml_http_limits){20, 8, 2};
    assert_int_equal(response("HTTP/1.1 200 a long reason\r\n\r\n"), ML_HTTP_HEAD_TOO_LONG);
    limits = kept;
}

static void responses_are_framed_by_their_request(void **state)
{
    (void)state;
    assert_true(response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n") > 0);
    assert_int_equal(ml_http_response_framing(&head, ML_HTTP_GET), 0);
    assert_int_equal(head.body, ML_HTTP_SIZED);
    assert_int_equal(ml_http_response_framing(&head, ML_HTTP_HEAD), 0);
    assert_int_equal(head.body, ML_HTTP_NO_BODY);
    assert_int_equal(ml_http_response_framing(&head, ML_HTTP_CONNECT), 0);
    assert_int_equal(head.body, ML_HTTP_TUNNEL);
    assert_true(response("HTTP/1.1 200\r\n\r\n") > 0);
    assert_int_equal(ml_http_response_framing(&head, ML_HTTP_GET), 0);
    assert_true(head.body == ML_HTTP_UNTIL_CLOSE && !head.keep_alive);
    assert_true(response("HTTP/1.1 304 \r\nTransfer-Encoding: chunked\r\n\r\n") > 0);
    assert_int_equal(ml_http_response_framing(&head, ML_HTTP_GET), 0);
    assert_true(head.body == ML_HTTP_NO_BODY && head.keep_alive && !head.is_chunked);
    assert_true(response("HTTP/1.1 099 x\r\n\r\n") < 0);
    assert_true(response("HTTP/1.1 200OK\r\n\r\n") < 0);
    assert_true(response("\r\nHTTP/1.1 200 OK\r\n\r\n") < 0);
    assert_true(response("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n") < 0);
}

static void every_known_name_is_found(void **state)
{
    (void)state;
    for (int i = 1; i < ML_HTTP_NAME_COUNT; i++) {
        const struct ml_http_known *known = &ml_http_known_names[i];
        assert_int_equal(ml_http_name_of(known->text, known->size), i);
    }
    assert_int_equal(ml_http_name_of("COOKIE", 6), ML_HTTP_COOKIE);
    assert_int_equal(ml_http_name_of("cookif", 6), ML_HTTP_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_invalid_request_is_refused),
        cmocka_unit_test(a_zero_byte_is_refused_everywhere),
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(valid_requests_are_taken),
        cmocka_unit_test(limits_hold_at_the_byte),
        cmocka_unit_test(responses_are_framed_by_their_request),
        cmocka_unit_test(every_known_name_is_found),
    };
    return cmocka_run_group_tests_name("http.head", tests, NULL, NULL);
}
