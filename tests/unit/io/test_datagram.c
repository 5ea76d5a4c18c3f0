/*
 * Datagrams without Lua: what a ping-pong leaves registered, and the shared block.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "base/error.h"
#include "io/datagram.h"
#include "io/life.h"

#include <errno.h>

struct datagram_test {
    struct ml_hub hub;
    struct ml_io io;
    struct ml_datagram a, b;
    struct ml_address to_a, to_b;
    struct c_task tasks[2];
};

static struct datagram_test test;

static void open_socket(struct ml_datagram *d, struct ml_address *address)
{
    struct ml_address loopback;
    ml_datagram_init(d, &test.io);
    assert_true(ml_address_parse(&loopback, "127.0.0.1", 0));
    assert_int_equal(ml_datagram_open(d, AF_INET), 0);
    assert_int_equal(ml_datagram_bind(d, &loopback), 0);
    assert_int_equal(ml_address_of_socket(address, d->fd.number), 0);
}

static void open_test(void)
{
    open_hub(&test.hub);
    ml_io_init(&test.io, &test.hub);
    open_socket(&test.a, &test.to_a);
    open_socket(&test.b, &test.to_b);
}

static void close_test(void)
{
    ml_datagram_close(&test.a);
    ml_datagram_close(&test.b);
    ml_io_release(&test.io);
    close_hub(&test.hub);
}

static void run_both(void (*first)(struct c_task *self), void (*second)(struct c_task *self))
{
    open_test();
    spawn(&test.hub, &test.tasks[0], first, NULL);
    spawn(&test.hub, &test.tasks[1], second, NULL);
    assert_int_equal(run_all(&test.hub), 0);
    close_test();
}

enum { ROUNDS = 100 };

static void serve(struct c_task *self)
{
    struct ml_message message;
    (void)self;
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(ml_datagram_receive(&test.b, &message, in_ms(20000)), 0);
        if (i > 0) /* the watcher has stayed registered since the wait before */
            assert_true(ev_is_active(&test.b.fd.sides[ML_FD_READ].watcher));
        assert_int_equal(
            ml_datagram_send(&test.b, message.data, message.size, &message.from, in_ms(20000)), 0);
        ml_datagram_drop(&test.b);
        assert_false(ev_is_active(&test.b.fd.sides[ML_FD_WRITE].watcher));
    }
}

static void ask(struct c_task *self)
{
    struct ml_message message;
    (void)self;
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(ml_datagram_send(&test.a, "ping", 4, &test.to_b, in_ms(20000)), 0);
        assert_int_equal(ml_datagram_receive(&test.a, &message, in_ms(20000)), 0);
        assert_int_equal(message.size, 4);
        assert_memory_equal(message.data, "ping", 4);
        assert_false(message.is_truncated);
        ml_datagram_drop(&test.a);
    }
}

static void test_a_ping_pong_leaves_its_watcher_registered(void **state)
{
    (void)state;
    run_both(serve, ask);
}

static void hold(struct c_task *self)
{
    struct ml_message first, second;
    (void)self;
    assert_int_equal(ml_datagram_send(&test.a, "first", 5, &test.to_b, in_ms(20000)), 0);
    assert_int_equal(ml_datagram_send(&test.b, "second", 6, &test.to_a, in_ms(20000)), 0);
    assert_int_equal(ml_datagram_receive(&test.b, &first, in_ms(20000)), 0);
    assert_int_equal(ml_datagram_receive(&test.a, &second, in_ms(20000)), 0);
    assert_ptr_not_equal(first.data, second.data);
    assert_memory_equal(first.data, "first", 5);
    assert_memory_equal(second.data, "second", 6);
    /* Nobody drops them: the next receive does, also one that finds nothing. */
    assert_int_equal(ml_datagram_receive(&test.a, &second, ML_NEVER_WAIT), -ETIMEDOUT);
    assert_null(test.a.block);
    assert_non_null(test.io.spare);
    ml_datagram_close(&test.b);
    assert_null(test.b.block);
}

static void do_nothing(struct c_task *self)
{
    (void)self;
}

static void test_two_datagrams_held_at_once_lie_in_two_blocks(void **state)
{
    (void)state;
    run_both(hold, do_nothing);
}

static void receive_in_vain(struct c_task *self)
{
    struct ml_message message;
    (void)self;
    assert_int_equal(ml_datagram_receive(&test.a, &message, in_ms(5)), -ETIMEDOUT);
    assert_null(test.a.block);
    assert_int_equal(ml_datagram_receive(&test.a, &message, in_ms(20000)), -ML_ECLOSED);
    assert_false(test.a.is_receiving);
    assert_int_equal(ml_datagram_send(&test.a, "x", 1, &test.to_b, in_ms(20000)), -ML_ECLOSED);
}

static void close_later(struct c_task *self)
{
    ml_sleep_until(hub_of(self), in_ms(30));
    struct ml_message message;
    assert_int_equal(ml_datagram_receive(&test.a, &message, in_ms(20000)), -EBUSY);
    ml_datagram_close(&test.a);
}

static void test_an_idle_receiver_holds_no_block_and_is_woken_by_close(void **state)
{
    (void)state;
    run_both(receive_in_vain, close_later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ping_pong_leaves_its_watcher_registered),
        cmocka_unit_test(test_two_datagrams_held_at_once_lie_in_two_blocks),
        cmocka_unit_test(test_an_idle_receiver_holds_no_block_and_is_woken_by_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
