/*
 * The reader of multipart bodies (http/multipart.h): parts and their data, the same wherever the
 * bytes are cut; what is malformed or too much is an error.
 */
#include "http/multipart.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PARTS = 3 };

static struct ml_multipart multipart;
static char log_text[4096];
static size_t log_size;

static void note(const char *text, size_t size)
{
    assert_true(log_size + size < sizeof log_text);
    memcpy(log_text + log_size, text, size);
    log_size += size;
    log_text[log_size] = '\0';
}

static void note_event(int event, const char *bytes)
{
    if (event == ML_MULTIPART_PART) {
        note("[", 1);
        for (int i = 0; i < multipart.head.field_count; i++)
            note(ml_http_at(&multipart.head, multipart.fields[i].value),
                 multipart.fields[i].value.size);
        note("|", 1);
    } else if (event == ML_MULTIPART_DATA)
        note(bytes + multipart.data.at, multipart.data.size);
    else if (event == ML_MULTIPART_PART_END)
        note("]", 1);
    else if (event == ML_MULTIPART_END)
        note(".", 1);
}

/* All events from the bytes that came in pieces of `step`, the first having `first`. */
static int read_pieces(const char *bytes, size_t size, size_t first, size_t step)
{
    size_t from = 0, there = first, taken;
    int event = 0;
    log_size = 0;
    log_text[0] = '\0';
    assert_true(ml_multipart_begin(&multipart, "b-1", 3, PARTS));
    while (event >= 0 && event != ML_MULTIPART_END) {
        char *copy = malloc(there - from + 1);
        memcpy(copy, bytes + from, there - from);
        event = ml_multipart_next(&multipart, copy, there - from, &taken);
        if (event > 0)
            note_event(event, copy);
        free(copy);
        from += event >= 0 ? taken : 0;
        if (event == ML_MULTIPART_MORE && there == size)
            break;
        if (event == ML_MULTIPART_MORE)
            there = size - there < step ? size : there + step;
    }
    return event;
}

static int read_text(const char *text)
{
    char whole[sizeof log_text];
    size_t size = strlen(text);
    int result = read_pieces(text, size, size, size);
    memcpy(whole, log_text, log_size + 1);
    for (size_t first = 0; first <= size; first++) {
        assert_int_equal(read_pieces(text, size, first, size), result);
        assert_true(result < 0 || strcmp(log_text, whole) == 0);
    }
    assert_int_equal(read_pieces(text, size, 0, 1), result);
    assert_true(result < 0 || strcmp(log_text, whole) == 0);
    return result;
}

static void gives(const char *text, int result, const char *events)
{
    assert_int_equal(read_text(text), result);
    assert_string_equal(log_text, events);
}

static void test_parts_come_one_after_the_other(void **state)
{
    (void)state;
    gives("--b-1\r\nX: a\r\n\r\nhello\r\n--b-1\r\nX: c\r\n\r\n\r\n--b-1--\r\n", ML_MULTIPART_END,
          "[a|hello][c|].");
    gives("--b-1\r\n\r\nno fields\r\n--b-1--", ML_MULTIPART_END, "[|no fields].");
    gives("--b-1--", ML_MULTIPART_END, ".");
    gives("a preamble\r\n--b-1 \t\r\n\r\nx\r\n--b-1--epilogue\r\n--b-1\r\n", ML_MULTIPART_END,
          "[|x].");
}

static void test_what_looks_like_a_boundary_is_data(void **state)
{
    (void)state;
    gives("--b-1\r\n\r\n\r\n--b-\r\r\n--b-2 --b-1\n--b-1\r--b-1\r\n--b-1--", ML_MULTIPART_END,
          "[|\r\n--b-\r\r\n--b-2 --b-1\n--b-1\r--b-1].");
}

static void test_a_body_that_ends_short_never_ends(void **state)
{
    (void)state;
    gives("", ML_MULTIPART_MORE, "");
    gives("--b-1", ML_MULTIPART_MORE, "");
    gives("--b-1-", ML_MULTIPART_MORE, "");
    gives("--b-1\r\nX: a\r\n", ML_MULTIPART_MORE, "");
    gives("--b-1\r\n\r\nab\r\n--b-", ML_MULTIPART_MORE, "[|ab");
    gives("--b-1\r\n\r\nab\r\n--b-1\r", ML_MULTIPART_MORE, "[|ab]");
}

static void test_malformed_bodies_are_errors(void **state)
{
    (void)state;
    static const char *const texts[] = {"--b-1x\r\n",
                                        "--b-1\n",
                                        "--b-1\rx",
                                        "--b-1-x",
                                        "--b-1 --",
                                        "--b-1\r\nX : a\r\n\r\n",
                                        "--b-1\r\nX: a\r\n b\r\n\r\n",
                                        "--b-1\r\nX\r\n\r\n",
                                        "--b-1\r\nX: a\n\r\n",
                                        "--b-1\r\n\r\nx\r\n--b-12\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(read_text(texts[i]), -EPROTO);
}

static void test_parts_heads_and_the_preamble_are_limited(void **state)
{
    (void)state;
    static const char part[] = "--b-1\r\n\r\nx\r\n";
    char text[16 * 1024] = "";
    for (int i = 0; i <= PARTS; i++)
        strcat(text, part);
    assert_int_equal(read_text(text), -EMSGSIZE);
    memset(text, 'a', ML_MULTIPART_PREAMBLE + 8);
    assert_int_equal(read_pieces(text, ML_MULTIPART_PREAMBLE + 8, 0, 1), -EMSGSIZE);
    memcpy(text, "--b-1\r\nX: ", 10);
    memset(text + 10, 'a', ML_MULTIPART_HEAD);
    assert_int_equal(read_pieces(text, ML_MULTIPART_HEAD + 10, 0, 7), -EMSGSIZE);
    int size = 7;
    for (int i = 0; i <= ML_MULTIPART_FIELDS; i++)
        size += sprintf(text + size, "X: a\r\n");
    assert_int_equal(read_pieces(text, (size_t)size, 0, 1), -EMSGSIZE);
}

static void test_boundaries_are_those_of_the_rfc(void **state)
{
    (void)state;
    char text[ML_MULTIPART_BOUNDARY + 1];
    memset(text, 'x', sizeof text);
    assert_true(ml_multipart_begin(&multipart, text, ML_MULTIPART_BOUNDARY, 1));
    assert_false(ml_multipart_begin(&multipart, text, ML_MULTIPART_BOUNDARY + 1, 1));
    assert_false(ml_multipart_begin(&multipart, "", 0, 1));
    assert_false(ml_multipart_begin(&multipart, "a ", 2, 1));
    assert_false(ml_multipart_begin(&multipart, "a\r", 2, 1));
    assert_false(ml_multipart_begin(&multipart, "a\"", 2, 1));
    assert_true(ml_multipart_begin(&multipart, "'()+_,-./:=? 9Z", 15, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_come_one_after_the_other),
        cmocka_unit_test(test_what_looks_like_a_boundary_is_data),
        cmocka_unit_test(test_a_body_that_ends_short_never_ends),
        cmocka_unit_test(test_malformed_bodies_are_errors),
        cmocka_unit_test(test_parts_heads_and_the_preamble_are_limited),
        cmocka_unit_test(test_boundaries_are_those_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
