/*
 * Frames of WebSocket, and UTF-8 in pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"
#include "http/ws_frame.h"

#include <errno.h>
#include <string.h>

static const struct ml_ws_rules from_client = {.is_from_client = true};
static const struct ml_ws_rules from_server = {0};

static int parse(const struct ml_ws_rules *rules, const char *bytes, size_t size)
{
    struct ml_ws_head head;
    const char *why;
    int result = ml_ws_parse_head(&head, rules, bytes, size, &why);
    assert_true((result < 0) == (why != NULL));
    return result;
}

static void test_heads_that_were_written_are_read(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, INT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int is_masked = 0; is_masked < 2; is_masked++) {
            char bytes[ML_WS_HEAD_MAX];
            const char *why;
            struct ml_ws_head read, head = {sizes[i], ML_WS_BINARY, true, false, is_masked, "abcd"};
            size_t size = ml_ws_write_head(bytes, &head);
            struct ml_ws_rules rules = {.is_from_client = is_masked};
            for (size_t cut = 0; cut < size; cut++)
                assert_int_equal(parse(&rules, bytes, cut), 0);
            assert_int_equal(ml_ws_parse_head(&read, &rules, bytes, size, &why), size);
            assert_true(read.size == sizes[i] && read.is_final && read.opcode == ML_WS_BINARY);
            assert_true(!is_masked || memcmp(read.key, "abcd", 4) == 0);
        }
}

static void test_lengths_have_their_shortest_form(void **state)
{
    (void)state;
    assert_int_equal(parse(&from_server, "\x82\x7e\0\x7d", 4), -EPROTO);
    assert_int_equal(parse(&from_server, "\x82\x7e\0\x7e", 4), 4);
    assert_int_equal(parse(&from_server, "\x82\x7f\0\0\0\0\0\0\xff\xff", 10), -EPROTO);
    assert_int_equal(parse(&from_server, "\x82\x7f\0\0\0\0\0\1\0\0", 10), 10);
    assert_int_equal(parse(&from_server, "\x82\x7f\x80\0\0\0\0\0\0\0", 10), -EPROTO);
}

static void test_a_client_masks_and_a_server_does_not(void **state)
{
    (void)state;
    assert_int_equal(parse(&from_client, "\x81\5", 2), -EPROTO);
    assert_int_equal(parse(&from_client, "\x81\x85", 2), 0);
    assert_int_equal(parse(&from_server, "\x81\x85", 2), -EPROTO);
}

static void test_reserved_bits_and_opcodes_are_refused_at_the_first_byte(void **state)
{
    (void)state;
    struct ml_ws_rules compressed = {.may_be_compressed = true};
    struct ml_ws_rules inside = {.may_be_compressed = true, .is_in_message = true};
    for (int opcode = 0; opcode < 16; opcode++) {
        bool is_data = opcode == ML_WS_TEXT || opcode == ML_WS_BINARY;
        bool is_known = is_data || (opcode >= ML_WS_CLOSE && opcode <= ML_WS_PONG);
        char byte = (char)(0x80 | opcode), rsv1 = (char)(0xC0 | opcode);
        assert_int_equal(parse(&from_server, &byte, 1), is_known ? 0 : -EPROTO);
        assert_int_equal(parse(&from_server, &rsv1, 1), -EPROTO);
        assert_int_equal(parse(&compressed, &rsv1, 1), is_data ? 0 : -EPROTO);
        assert_int_equal(parse(&inside, &rsv1, 1), -EPROTO);
    }
    assert_int_equal(parse(&compressed, "\xA1", 1), -EPROTO);
    assert_int_equal(parse(&compressed, "\x91", 1), -EPROTO);
}

static void test_fragments_come_in_order(void **state)
{
    (void)state;
    struct ml_ws_rules inside = {.is_in_message = true};
    assert_int_equal(parse(&from_server, "\x80", 1), -EPROTO);
    assert_int_equal(parse(&from_server, "\0", 1), -EPROTO);
    assert_int_equal(parse(&inside, "\x81", 1), -EPROTO);
    assert_int_equal(parse(&inside, "\2", 1), -EPROTO);
    assert_int_equal(parse(&inside, "\x80\0", 2), 2);
    assert_int_equal(parse(&inside, "\x89\0", 2), 2);
}

static void test_control_frames_are_short_and_whole(void **state)
{
    (void)state;
    assert_int_equal(parse(&from_server, "\x89\x7d", 2), 2);
    assert_int_equal(parse(&from_server, "\x89\x7e", 2), -EPROTO);
    assert_int_equal(parse(&from_server, "\x88\x7f", 2), -EPROTO);
    assert_int_equal(parse(&from_server, "\x09", 1), -EPROTO);
}

static void test_masking_is_the_same_in_any_pieces(void **state)
{
    (void)state;
    static const unsigned char key[] = {1, 2, 4, 128};
    char plain[100], whole[100];
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (char)(i * 7);
        whole[i] = (char)(plain[i] ^ key[i % 4]);
    }
    for (size_t start = 0; start < 20; start++)
        for (size_t cut = start; cut <= sizeof plain; cut++) {
            char data[100];
            memcpy(data, plain, sizeof data);
            ml_ws_mask(data + start, cut - start, key, start);
            ml_ws_mask(data + cut, sizeof data - cut, key, cut);
            assert_memory_equal(data + start, whole + start, sizeof data - start);
            assert_memory_equal(data, plain, start);
        }
}

static void test_codes_of_closing_are_those_that_may_be_sent(void **state)
{
    (void)state;
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4999};
    static const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(ml_ws_code_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ml_ws_code_is_valid(bad[i]));
}

/* Whether a text is UTF-8, asked with a cut anywhere; every cut says the same. */
static bool is_utf8(const char *text)
{
    size_t size = strlen(text);
    int count = 0;
    for (size_t cut = 0; cut <= size; cut++) {
        struct ml_utf8 u = {0};
        count += ml_utf8_check(&u, text, cut) && ml_utf8_check(&u, text + cut, size - cut) &&
                 ml_utf8_is_whole(&u);
    }
    assert_true(count == 0 || count == (int)size + 1);
    return count > 0;
}

static void test_utf8_is_what_rfc_3629_says(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "plain ASCII of more than eight bytes",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "12345678\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5 12345678"};
    static const char *const bad[] = {"\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC2",
                                      "\xC2\x7F",
                                      "\xC2\xC0",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xE1\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFE",
                                      "\xFF",
                                      "\xF1\x80\x80",
                                      "12345678\x80",
                                      "\xF8\x88\x80\x80\x80"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(is_utf8(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(is_utf8(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_that_were_written_are_read),
        cmocka_unit_test(test_lengths_have_their_shortest_form),
        cmocka_unit_test(test_a_client_masks_and_a_server_does_not),
        cmocka_unit_test(test_reserved_bits_and_opcodes_are_refused_at_the_first_byte),
        cmocka_unit_test(test_fragments_come_in_order),
        cmocka_unit_test(test_control_frames_are_short_and_whole),
        cmocka_unit_test(test_masking_is_the_same_in_any_pieces),
        cmocka_unit_test(test_codes_of_closing_are_those_that_may_be_sent),
        cmocka_unit_test(test_utf8_is_what_rfc_3629_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
