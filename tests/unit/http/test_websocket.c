/*
 * WebSocket connections without Lua, over a network in memory that may give one byte at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "base/error.h"
#include "http/ws_receive.h"
#include "http/ws_worker.h"
#include "hub/loop/simulation.h"
#include "io/life.h"
#include "io/memory.h"

static struct {
    struct ml_hub hub;
    struct ml_io io;
    struct ml_stream a, b;
    struct ml_websocket server;
    struct c_task tasks[3];
    const char *input;
    size_t input_size;
    char got[4096]; /* by the raw peer */
    size_t got_size;
    char text[4096]; /* by the server: its messages, joined */
    size_t text_size;
    int result;
} test;

/* Sends the bytes, ends the output and reads until the end. */
static void play_peer(struct c_task *self)
{
    size_t sent;
    struct iovec piece = {(void *)test.input, test.input_size};
    struct ml_piece_of_input in;
    (void)self;
    ml_stream_write(&test.b, &piece, 1, &sent);
    ml_stream_shutdown_write(&test.b);
    if (ml_stream_read_all(&test.b, sizeof test.got, &in) == 0) {
        memcpy(test.got, in.data, in.size);
        test.got_size = in.size;
        ml_stream_consume(&test.b, in.taken);
    }
    ml_stream_close(&test.b);
}

static void serve(struct c_task *self)
{
    struct ml_websocket *ws = &test.server;
    (void)self;
    while ((test.result = ml_websocket_receive(ws, ML_FOREVER)) == 0) {
        struct ml_websocket_message m = ml_websocket_message(ws);
        memcpy(test.text + test.text_size, m.data, m.size);
        test.text_size += m.size;
        ml_websocket_take(ws);
    }
    ws->has_worker = true;
    ml_websocket_work(ws);
}

/* What a server with small limits makes of a client's bytes, given `chunk` at a time. */
static int play_in(const char *input, size_t size, size_t chunk)
{
    struct ml_websocket_options options = ML_WEBSOCKET_DEFAULTS;
    struct ml_memory_options way = ML_MEMORY_DEFAULTS;
    options.max_message = 16;
    way.chunk = chunk;
    open_hub(&test.hub);
    ml_io_init(&test.io, &test.hub);
    ml_simulation_set_clock(&test.hub, true);
    ml_stream_init(&test.a, &test.io);
    ml_stream_init(&test.b, &test.io);
    assert_int_equal(ml_memory_pair_open(&test.a, &test.b, &way, &way), 0);
    ml_websocket_open(&test.server, &test.a, &options);
    test.input = input;
    test.input_size = size;
    test.got_size = test.text_size = 0;
    spawn(&test.hub, &test.tasks[0], serve, NULL);
    spawn(&test.hub, &test.tasks[1], play_peer, NULL);
    assert_int_equal(run_all(&test.hub), 0);
    ml_websocket_destroy(&test.server);
    ml_io_release(&test.io);
    close_hub(&test.hub);
    return test.result;
}

/* The same in pieces of several sizes, which makes no difference. */
static void expect(const char *input, size_t size, int result, const char *text, const char *answer,
                   size_t answer_size)
{
    for (size_t chunk = 1; chunk < 9; chunk++) {
        assert_int_equal(play_in(input, size, chunk), result);
        assert_int_equal(test.text_size, strlen(text));
        assert_memory_equal(test.text, text, strlen(text));
        assert_int_equal(test.got_size, answer_size);
        assert_memory_equal(test.got, answer, answer_size);
    }
}

#define EXPECT(input, result, text, answer)                                                        \
    expect(input, sizeof(input) - 1, result, text, answer, sizeof(answer) - 1)

#define MASK "\0\0\0\0"
#define CLOSE "\x88\x82" MASK "\x03\xe8"
#define CLOSED "\x88\2\x03\xe8"

static void test_messages_come_whole_or_in_fragments(void **state)
{
    (void)state;
    EXPECT("\x81\x82" MASK "hi" CLOSE, 1, "hi", CLOSED);
    EXPECT("\x81\x82\1\2\3\4\x69\x6b" CLOSE, 1, "hi", CLOSED);
    EXPECT("\1\x81" MASK "a\0\x80" MASK "\x80\x81" MASK "b" CLOSE, 1, "ab", CLOSED);
}

static void test_a_ping_is_answered_between_fragments(void **state)
{
    (void)state;
    EXPECT("\1\x81" MASK "a\x89\x82" MASK "hi\x80\x81" MASK "b" CLOSE, 1, "ab", "\x8a\2hi" CLOSED);
    EXPECT("\x8a\x80" MASK CLOSE, 1, "", CLOSED);
}

static void test_what_breaks_a_rule_is_told_its_code(void **state)
{
    (void)state;
    EXPECT("\x81\2hi", -EPROTO, "", "\x88\2\x03\xea");
    EXPECT("\x80\x80" MASK, -EPROTO, "", "\x88\2\x03\xea");
    EXPECT("\x81\x82" MASK "\xC3\x28", -EILSEQ, "", "\x88\2\x03\xef");
    EXPECT("\x81\x81" MASK "\xC3", -EILSEQ, "", "\x88\2\x03\xef");
    EXPECT("\x82\x91" MASK, -EMSGSIZE, "", "\x88\2\x03\xf1");
    EXPECT("\2\x88" MASK "12345678\x80\x89" MASK, -EMSGSIZE, "", "\x88\2\x03\xf1");
}

static void test_a_close_is_answered_if_its_code_is_valid(void **state)
{
    (void)state;
    EXPECT("\x88\x80" MASK, 1, "", "\x88\0");
    EXPECT("\x88\x81" MASK "x", -EPROTO, "", "\x88\2\x03\xea");
    EXPECT("\x88\x82" MASK "\x03\xed", -EPROTO, "", "\x88\2\x03\xea");
    EXPECT("\x88\x83" MASK "\x03\xe8\xff", -EILSEQ, "", "\x88\2\x03\xef");
}

static void test_an_end_without_a_close_is_told(void **state)
{
    (void)state;
    EXPECT("", -ML_EEOF, "", "");
    EXPECT("\x81\x82" MASK "h", -ML_EEOF, "", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_come_whole_or_in_fragments),
        cmocka_unit_test(test_a_ping_is_answered_between_fragments),
        cmocka_unit_test(test_what_breaks_a_rule_is_told_its_code),
        cmocka_unit_test(test_a_close_is_answered_if_its_code_is_valid),
        cmocka_unit_test(test_an_end_without_a_close_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
