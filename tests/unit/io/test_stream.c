/*
 * Streams without Lua: turns of writers, and bytes that stay when a read is cut short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "base/error.h"
#include "hub/loop/run.h"
#include "hub/switch/switch.h"
#include "io/life.h"
#include "io/memory.h"
#include "io/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIG = 1024 * 1024, SMALL_BUFFER = 64 * 1024 };

struct stream_test {
    struct ml_hub hub;
    struct ml_io io;
    struct ml_stream stream;
    int other; /* the far end, not blocking */
    struct c_task tasks[4];
    char big[BIG];
    char got[BIG + 64];
    size_t got_size;
};

static struct stream_test test;

static void open_test(void)
{
    int ends[2];
    int size = SMALL_BUFFER;
    open_hub(&test.hub);
    ml_io_init(&test.io, &test.hub);
    ml_stream_init(&test.stream, &test.io);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    ml_socket_open(&test.stream, ends[0]);
    test.other = ends[1];
    test.got_size = 0;
    memset(test.big, 'x', sizeof test.big);
}

static void close_test(void)
{
    ml_stream_close(&test.stream);
    close(test.other);
    ml_io_release(&test.io);
    close_hub(&test.hub);
}

static int write_text(const char *text, size_t size)
{
    size_t sent;
    struct iovec piece = {.iov_base = (void *)text, .iov_len = size};
    return ml_stream_write(&test.stream, &piece, 1, &sent);
}

/* Reads all that has come to the far end. */
static void drain(void)
{
    ssize_t count;
    while ((count = read(test.other, test.got + test.got_size, sizeof test.got - test.got_size)) >
           0)
        test.got_size += (size_t)count;
}

static void turn_over(int times)
{
    while (times-- > 0)
        assert_int_equal(ml_yield(&test.hub), 0);
}

/* ---- turns ---- */

static void write_big(struct c_task *self)
{
    self->result = write_text(test.big, (size_t)self->number);
}

static void write_name(struct c_task *self)
{
    const char name = (char)self->number;
    self->result = write_text(&name, 1);
}

/* Asks for its turn when the writer before it is ready to end and has not run yet. */
static void write_at_the_last_moment(struct c_task *self)
{
    struct ml_task *first = &test.tasks[0].task;
    turn_over(5);
    while (first->state == ML_TASK_WAITING) {
        drain();
        turn_over(1);
    }
    test.hub.waits.spurious = false; /* hostile: the next wait is one that is woken for nothing */
    self->result = write_text("y", 1);
}

static void test_a_turn_is_not_lost_on_a_writer_woken_for_nothing(void **state)
{
    /* A writer that had been woken without a reason was not in the queue when its turn came: nobody
     * got the turn, and it waited for good. Takes the hostile build to show. */
    (void)state;
    open_test();
    test.tasks[0].number = 200 * 1024;
    spawn(&test.hub, &test.tasks[0], write_big, NULL);
    spawn(&test.hub, &test.tasks[1], write_at_the_last_moment, NULL);
    assert_int_equal(ml_hub_run(&test.hub, ML_UNTIL_ALL_ENDED, in_ms(10000)), 0);
    assert_int_equal(test.tasks[0].result, 0);
    assert_int_equal(test.tasks[1].result, 0);
    close_test();
}

static void drain_until_ended(struct c_task *self)
{
    (void)self;
    while (test.tasks[0].task.state != ML_TASK_ENDED || test.tasks[1].task.state != ML_TASK_ENDED ||
           test.tasks[2].task.state != ML_TASK_ENDED) {
        drain();
        turn_over(1);
    }
    drain();
}

static void test_writers_take_turns_in_the_order_of_their_calls(void **state)
{
    (void)state;
    open_test();
    test.tasks[0].number = BIG;
    test.tasks[1].number = 'a';
    test.tasks[2].number = 'b';
    spawn(&test.hub, &test.tasks[0], write_big, NULL);
    spawn(&test.hub, &test.tasks[1], write_name, NULL);
    spawn(&test.hub, &test.tasks[2], write_name, NULL);
    spawn(&test.hub, &test.tasks[3], drain_until_ended, NULL);
    assert_int_equal(run_all(&test.hub), 0);
    assert_int_equal(test.got_size, BIG + 2);
    assert_memory_equal(test.got + BIG, "ab", 2);
    close_test();
}

/* ---- bytes that stay ---- */

static void read_in_pieces(struct c_task *self)
{
    struct ml_piece_of_input piece;
    struct ml_stream *s = &test.stream;
    (void)self;
    s->read_timeout = 5 * ML_MILLISECOND;
    assert_int_equal(write(test.other, "one,two", 7), 7);
    assert_int_equal(ml_stream_read_exactly(s, 100, true, &piece), -ETIMEDOUT);
    assert_int_equal(ml_stream_read_until(s, ",", 1, 100, false, &piece), 0);
    assert_int_equal(piece.size, 4);
    assert_memory_equal(piece.data, "one,", 4);
    ml_stream_consume(s, 3);
    assert_int_equal(ml_stream_read_until(s, ",", 1, 100, false, &piece), 0);
    assert_int_equal(piece.size, 1);
    ml_stream_consume(s, piece.taken);
    assert_int_equal(ml_stream_read_until(s, ",", 1, 100, false, &piece), -ETIMEDOUT);
    assert_int_equal(shutdown(test.other, SHUT_WR), 0);
    assert_int_equal(ml_stream_read_until(s, ",", 1, 100, false, &piece), -ML_EEOF);
    assert_int_equal(ml_stream_read_all(s, 100, &piece), 0);
    assert_int_equal(piece.size, 3);
    assert_memory_equal(piece.data, "two", 3);
    ml_stream_consume(s, piece.taken);
    assert_int_equal(ml_stream_read_some(s, 100, &piece), 1);
}

static void test_reads_that_fail_leave_their_bytes(void **state)
{
    (void)state;
    open_test();
    spawn(&test.hub, &test.tasks[0], read_in_pieces, NULL);
    assert_int_equal(run_all(&test.hub), 0);
    close_test();
}

static void test_an_idle_stream_holds_no_buffer(void **state)
{
    (void)state;
    open_test();
    spawn(&test.hub, &test.tasks[0], read_in_pieces, NULL);
    assert_int_equal(run_all(&test.hub), 0);
    assert_null(test.stream.in.memory);
    assert_int_equal(test.stream.in.capacity, 0);
    close_test();
}

/* Bytes left over are kept, but not in the block that all streams share. */
static void leave_bytes_over(struct c_task *self)
{
    struct ml_piece_of_input piece;
    struct ml_stream *s = self->data;
    assert_int_equal(ml_stream_read_exactly(s, 3, true, &piece), 0);
    ml_stream_consume(s, 0);
    assert_int_equal(ml_stream_read_until(s, ",", 1, 100, false, &piece), 0);
    assert_int_equal(piece.size, 4);
    ml_stream_consume(s, piece.taken);
    assert_false(s->borrows);
    assert_int_equal(ml_stream_read_exactly(s, 3, false, &piece), 0);
    assert_memory_equal(piece.data, "two", 3);
    ml_stream_consume(s, piece.taken);
    assert_null(s->in.memory);
    s->read_timeout = ML_MILLISECOND;
    assert_int_equal(ml_stream_read_some(s, 10, &piece), -ETIMEDOUT);
    assert_null(s->in.memory);
}

static void test_an_idle_stream_in_memory_holds_no_buffer_either(void **state)
{
    (void)state;
    struct ml_stream a, b;
    struct ml_memory_options way = ML_MEMORY_DEFAULTS;
    struct iovec piece = {.iov_base = (void *)"one,two", .iov_len = 7};
    open_test();
    ml_stream_init(&a, &test.io);
    ml_stream_init(&b, &test.io);
    assert_int_equal(ml_memory_pair_open(&a, &b, &way, &way), 0);
    assert_int_equal(a.transport->transmit(&a, &piece, 1), 7);
    spawn(&test.hub, &test.tasks[0], leave_bytes_over, &b);
    assert_int_equal(run_all(&test.hub), 0);
    ml_stream_close(&a);
    ml_stream_close(&b);
    close_test();
}

static void peek_at_socket(struct c_task *self)
{
    assert_int_equal(write(test.other, "one,two", 7), 7);
    leave_bytes_over(self);
}

static void test_a_stream_that_was_peeked_at_lends_its_block_back(void **state)
{
    (void)state;
    open_test();
    spawn(&test.hub, &test.tasks[0], peek_at_socket, &test.stream);
    assert_int_equal(run_all(&test.hub), 0);
    close_test();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_turn_is_not_lost_on_a_writer_woken_for_nothing),
        cmocka_unit_test(test_writers_take_turns_in_the_order_of_their_calls),
        cmocka_unit_test(test_reads_that_fail_leave_their_bytes),
        cmocka_unit_test(test_an_idle_stream_holds_no_buffer),
        cmocka_unit_test(test_an_idle_stream_in_memory_holds_no_buffer_either),
        cmocka_unit_test(test_a_stream_that_was_peeked_at_lends_its_block_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
