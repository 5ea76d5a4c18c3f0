/*
 * Content codings as streams: whole, in any pieces, cut short, with garbage, beyond limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "http/coding.h"
#include "http/decoder.h"
#include "http/encoder.h"
#include "io/life.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 256 * 1024 };

static struct {
    struct ml_io io;
    char out[ROOM];
    size_t size;
} test;

static int open_test(void **state)
{
    (void)state;
    ml_io_init(&test.io, NULL);
    return 0;
}

static int close_test(void **state)
{
    (void)state;
    ml_io_release(&test.io);
    return 0;
}

/* Decodes in pieces of `in` and `out` bytes. The first result below 0, or that of finish. */
static int decode_by(enum ml_coding coding, const char *data, size_t size, uint64_t limit,
                     size_t in, size_t out)
{
    struct ml_decoder *d;
    int result = ml_decoder_new(&test.io, coding, limit, &d);
    test.size = 0;
    while (result >= 0 && size > 0) {
        size_t piece = size < in ? size : in;
        struct ml_coding_step step = {data, piece, test.out + test.size, out};
        result = ml_decoder_feed(d, &step);
        test.size += out - step.out_size;
        data += piece - step.in_size;
        size -= piece - step.in_size;
        assert_true(test.size + out <= ROOM);
        while (result == 1) {
            struct ml_coding_step rest = {data, 0, test.out + test.size, out};
            result = ml_decoder_feed(d, &rest);
            test.size += out - rest.out_size;
            if (rest.out_size == out)
                break;
        }
    }
    if (result >= 0)
        result = ml_decoder_finish(d);
    ml_decoder_free(d);
    return result;
}

static int decode(enum ml_coding coding, const char *data, size_t size)
{
    return decode_by(coding, data, size, UINT64_MAX, size, 4096);
}

/* "hello, hello, hello\n" by Python's gzip and zlib, brotli and zstd. */
static const char text[] = "hello, hello, hello\n";
static const char gzip_text[] = {
    31,  -117, 8,   0,  0,   0,   0, 0,   2,  3,   -53, 72, -51, -55, -55,
    -41, 81,   -56, 64, -94, -72, 0, -25, 66, 110, 82,  20, 0,   0,   0,
};
static const char zlib_text[] = {
    120, -100, -53, 72, -51, -55, -55, -41, 81, -56, 64, -94, -72, 0, 75, 7, 6, -33,
};
static const char raw_text[] = {
    -53, 72, -51, -55, -55, -41, 81, -56, 64, -94, -72, 0,
};
static const char br_text[] = {
    -113, 9,   -128, 104, 101, 108, 108, 111, 44,  32,  104, 101,
    108,  108, 111,  44,  32,  104, 101, 108, 108, 111, 10,  3,
};
static const char zstd_text[] = {
    40,  -75, 47, -3, 4, 88, 117, 0,    0,  64, 104, 101, 108,  108,
    111, 44,  32, 10, 1, 0,  -30, -118, 17, 33, 105, -99, -121,
};

struct sample {
    enum ml_coding coding;
    const char *data;
    size_t size;
};

static const struct sample samples[] = {
    {ML_CODING_GZIP, gzip_text, sizeof gzip_text},
    {ML_CODING_DEFLATE, zlib_text, sizeof zlib_text},
    {ML_CODING_DEFLATE, raw_text, sizeof raw_text},
    {ML_CODING_BR, br_text, sizeof br_text},
    {ML_CODING_ZSTD, zstd_text, sizeof zstd_text},
};

enum { SAMPLES = sizeof samples / sizeof *samples };

static void assert_text(size_t times)
{
    assert_int_equal(test.size, times * (sizeof text - 1));
    for (size_t i = 0; i < times; i++)
        assert_memory_equal(test.out + i * (sizeof text - 1), text, sizeof text - 1);
}

static bool can(const struct sample *s)
{
    return ml_coding_can_decode(&test.io, s->coding);
}

static void test_each_coding_is_decoded_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++)
        for (size_t in = 1; in <= samples[i].size && can(&samples[i]); in++)
            for (size_t out = 1; out < 24; out++) {
                const struct sample *s = &samples[i];
                assert_int_equal(decode_by(s->coding, s->data, s->size, UINT64_MAX, in, out), 0);
                assert_text(1);
            }
}

static void test_input_that_was_cut_is_an_error_wherever(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++)
        for (size_t size = 0; size < samples[i].size && can(&samples[i]); size++)
            assert_int_equal(decode(samples[i].coding, samples[i].data, size), -ML_EEOF);
}

static void test_bytes_after_the_end_are_an_error(void **state)
{
    (void)state;
    char data[256];
    for (int i = 0; i < SAMPLES && can(&samples[i]); i++) {
        const struct sample *s = &samples[i];
        memcpy(data, s->data, s->size);
        memcpy(data + s->size, "garbage", 7);
        for (size_t in = 1; in <= s->size + 7; in++)
            assert_int_equal(decode_by(s->coding, data, s->size + 7, UINT64_MAX, in, 64), -EPROTO);
        memset(data + s->size, 0, 7);
        assert_int_equal(decode(s->coding, data, s->size + 7), -EPROTO);
    }
}

static void test_a_changed_byte_never_passes_for_the_text(void **state)
{
    (void)state;
    char data[256];
    for (int i = 0; i < 2; i++) /* those with a checksum over all */
        for (size_t at = 0; at < samples[i].size; at++) {
            memcpy(data, samples[i].data, samples[i].size);
            data[at] ^= 0x10;
            int result = decode(samples[i].coding, data, samples[i].size);
            if (result == 0) /* in gzip's head are a time and a system */
                assert_text(1);
        }
}

static void test_several_members_of_gzip_are_one_text(void **state)
{
    (void)state;
    char data[3 * sizeof gzip_text];
    for (int i = 0; i < 3; i++)
        memcpy(data + i * sizeof gzip_text, gzip_text, sizeof gzip_text);
    for (size_t in = 1; in <= sizeof data; in++) {
        assert_int_equal(decode_by(ML_CODING_GZIP, data, sizeof data, UINT64_MAX, in, 7), 0);
        assert_text(3);
    }
    assert_int_equal(decode(ML_CODING_GZIP, data, sizeof data - 1), -ML_EEOF);
    assert_int_equal(decode(ML_CODING_GZIP, data, sizeof gzip_text + 1), -ML_EEOF);
}

static void test_frames_of_zstd_are_one_text(void **state)
{
    (void)state;
    char data[2 * sizeof zstd_text];
    if (!ml_coding_can_decode(&test.io, ML_CODING_ZSTD))
        skip();
    memcpy(data, zstd_text, sizeof zstd_text);
    memcpy(data + sizeof zstd_text, zstd_text, sizeof zstd_text);
    assert_int_equal(decode(ML_CODING_ZSTD, data, sizeof data), 0);
    assert_text(2);
}

static void test_only_frames_of_rfc_8878_are_zstd(void **state)
{
    (void)state;
    if (!ml_coding_can_decode(&test.io, ML_CODING_ZSTD))
        skip();
    for (unsigned char first = 0x22; first <= 0x28; first++) {
        char data[sizeof zstd_text];
        memcpy(data, zstd_text, sizeof data);
        data[0] = (char)first;
        for (size_t in = 1; in <= sizeof data; in++)
            assert_int_equal(decode_by(ML_CODING_ZSTD, data, sizeof data, 1000, in, 64),
                             first == 0x28 ? 0 : -EPROTO);
    }
    char skipped[12 + sizeof zstd_text] = "\x5f\x2a\x4d\x18\4\0\0\0abcd";
    memcpy(skipped + 12, zstd_text, sizeof zstd_text);
    assert_int_equal(decode(ML_CODING_ZSTD, skipped, sizeof skipped), 0);
    assert_text(1);
    skipped[1] = 0x2b;
    assert_int_equal(decode(ML_CODING_ZSTD, skipped, sizeof skipped), -EPROTO);
}

static void test_the_limit_holds_to_the_byte(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++)
        for (size_t in = 1; in <= samples[i].size && can(&samples[i]); in++) {
            const struct sample *s = &samples[i];
            assert_int_equal(decode_by(s->coding, s->data, s->size, sizeof text - 1, in, 64), 0);
            assert_text(1);
            assert_int_equal(decode_by(s->coding, s->data, s->size, sizeof text - 2, in, 64),
                             -EMSGSIZE);
            assert_int_equal(decode_by(s->coding, s->data, s->size, 0, in, 64), -EMSGSIZE);
        }
}

static void test_data_of_two_bytes_are_raw_deflate(void **state)
{
    (void)state;
    assert_int_equal(decode(ML_CODING_DEFLATE, "\3\0", 2), 0);
    assert_int_equal(test.size, 0);
    assert_int_equal(decode(ML_CODING_DEFLATE, "\3", 1), -ML_EEOF);
    assert_int_equal(decode(ML_CODING_DEFLATE, "\3\0x", 3), -EPROTO);
}

/* Encodes in pieces of `in` and `out` bytes. */
static size_t encode(enum ml_coding coding, const char *data, size_t size, size_t in, size_t out,
                     char *into, size_t room)
{
    struct ml_encoder *e;
    size_t made = 0;
    int result = 0;
    assert_int_equal(ml_encoder_new(&test.io, coding, -1, &e), 0);
    for (bool is_last = false; !is_last;) {
        size_t piece = size < in ? size : in;
        is_last = piece == size;
        struct ml_coding_step step = {data, piece, into + made, 0};
        do {
            size_t here = out < room - made ? out : room - made;
            step.out_size = here;
            result = ml_encoder_feed(e, &step, is_last ? ML_CODING_END : ML_CODING_MORE);
            made += here - step.out_size;
            assert_true(result >= 0 && made < room);
        } while (result == 1);
        assert_int_equal(step.in_size, 0);
        data += piece;
        size -= piece;
    }
    ml_encoder_free(e);
    return made;
}

static void test_what_was_encoded_is_decoded(void **state)
{
    (void)state;
    static char data[20000], coded[40000];
    static const enum ml_coding codings[] = {ML_CODING_GZIP, ML_CODING_BR};
    static const size_t sizes[] = {0, 1, 100, sizeof data}, pieces[] = {1, 7, 4096, 100000};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * i >> 5);
    for (int c = 0; c < 2 && ml_coding_can_encode(&test.io, codings[c]); c++)
        for (int s = 0; s < 4; s++)
            for (int p = 0; p < 4; p++) {
                size_t size = encode(codings[c], data, sizes[s], pieces[p], pieces[3 - p] + 1,
                                     coded, sizeof coded);
                assert_int_equal(decode(codings[c], coded, size), 0);
                assert_int_equal(test.size, sizes[s]);
                assert_memory_equal(test.out, data, sizes[s]);
            }
}

static void test_after_a_flush_all_so_far_can_be_decoded(void **state)
{
    (void)state;
    static const enum ml_coding codings[] = {ML_CODING_GZIP, ML_CODING_BR};
    for (int c = 0; c < 2 && ml_coding_can_encode(&test.io, codings[c]); c++) {
        struct ml_encoder *e;
        char coded[256];
        assert_int_equal(ml_encoder_new(&test.io, codings[c], 1, &e), 0);
        struct ml_coding_step step = {text, sizeof text - 1, coded, sizeof coded};
        assert_int_equal(ml_encoder_feed(e, &step, ML_CODING_FLUSH), 0);
        assert_int_equal(decode(codings[c], coded, sizeof coded - step.out_size), -ML_EEOF);
        assert_text(1);
        ml_encoder_free(e);
    }
}

/* The memory that decoding 1 GB of zeros takes. */
static void test_a_bomb_costs_no_memory(void **state)
{
    (void)state;
    enum { BLOCK = 64 * 1024 };
    static char zeros[BLOCK], coded[2 * 1024 * 1024];
    struct ml_encoder *e;
    struct ml_decoder *d;
    struct ml_coding_step step = {zeros, 0, coded, sizeof coded};
    assert_int_equal(ml_encoder_new(&test.io, ML_CODING_GZIP, 9, &e), 0);
    for (int i = 0; i < 4096; i++) {
        step.in = zeros;
        step.in_size = BLOCK;
        assert_int_equal(ml_encoder_feed(e, &step, i < 4095 ? ML_CODING_MORE : ML_CODING_END), 0);
    }
    ml_encoder_free(e);
    size_t before = mallinfo2().uordblks, most = 0;
    assert_int_equal(ml_decoder_new(&test.io, ML_CODING_GZIP, 200 * 1000 * 1000, &d), 0);
    struct ml_coding_step in = {coded, sizeof coded - step.out_size, NULL, 0};
    int result;
    do {
        in.out = test.out;
        in.out_size = BLOCK;
        result = ml_decoder_feed(d, &in);
        size_t now = mallinfo2().uordblks;
        most = now > before && now - before > most ? now - before : most;
    } while (result == 1);
    assert_int_equal(result, -EMSGSIZE);
    assert_true(most < 1024 * 1024);
    ml_decoder_free(d);
}

static void test_names_are_taken_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(ml_coding_by_name("GZip", 4), ML_CODING_GZIP);
    assert_int_equal(ml_coding_by_name("x-gzip", 6), ML_CODING_GZIP);
    assert_int_equal(ml_coding_by_name("br", 2), ML_CODING_BR);
    assert_int_equal(ml_coding_by_name("b", 1), ML_CODING_UNKNOWN);
    assert_int_equal(ml_coding_by_name("", 0), ML_CODING_UNKNOWN);
    assert_int_equal(ml_coding_by_name("gzipgzipgzip", 12), ML_CODING_UNKNOWN);
    assert_string_equal(ml_coding_name(ML_CODING_ZSTD), "zstd");
    struct ml_decoder *d;
    assert_int_equal(ml_decoder_new(&test.io, ML_CODING_UNKNOWN, 1, &d), -EOPNOTSUPP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_coding_is_decoded_in_pieces_of_any_size),
        cmocka_unit_test(test_input_that_was_cut_is_an_error_wherever),
        cmocka_unit_test(test_bytes_after_the_end_are_an_error),
        cmocka_unit_test(test_a_changed_byte_never_passes_for_the_text),
        cmocka_unit_test(test_several_members_of_gzip_are_one_text),
        cmocka_unit_test(test_frames_of_zstd_are_one_text),
        cmocka_unit_test(test_only_frames_of_rfc_8878_are_zstd),
        cmocka_unit_test(test_the_limit_holds_to_the_byte),
        cmocka_unit_test(test_data_of_two_bytes_are_raw_deflate),
        cmocka_unit_test(test_what_was_encoded_is_decoded),
        cmocka_unit_test(test_after_a_flush_all_so_far_can_be_decoded),
        cmocka_unit_test(test_a_bomb_costs_no_memory),
        cmocka_unit_test(test_names_are_taken_in_any_case),
    };
    return cmocka_run_group_tests(tests, open_test, close_test);
}
