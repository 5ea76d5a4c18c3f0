/*
 * Waiting for descriptors: readiness, one waiter per side, close under a waiter, number used again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "base/error.h"
#include "hub/on/fd.h"
#include "hub/state/ready.h"
#include "hub/switch/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct ml_wait_kind readable = {.text = "a byte on descriptor", .external = true};

struct fd_test {
    struct ml_hub hub;
    struct ml_fd fd;
    struct ml_fd again; /* not in a task's frame: the hub keeps pointers into it */
    int other;          /* the far end */
    struct c_task tasks[3];
};

static void open_pair(struct fd_test *test)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    ml_fd_init(&test->fd, &test->hub);
    ml_fd_open(&test->fd, ends[0]);
    test->other = ends[1];
}

static void open_test(struct fd_test *test)
{
    open_hub(&test->hub);
    open_pair(test);
}

static void close_test(struct fd_test *test)
{
    ml_fd_close(&test->fd);
    close(test->other);
    close_hub(&test->hub);
}

/* Runs two tasks to their end, of which the first begins. */
static void run_two(struct fd_test *test, void (*first)(struct c_task *self),
                    void (*second)(struct c_task *self))
{
    spawn(&test->hub, &test->tasks[0], first, test);
    spawn(&test->hub, &test->tasks[1], second, test);
    assert_int_equal(run_all(&test->hub), 0);
}

/* Reads one byte, as every user of ml_fd_wait() does: try, wait, try. Its value, or an error. */
static int read_byte(struct ml_fd *fd, ml_time deadline)
{
    int error = 0;
    while (error == 0) {
        unsigned char byte;
        if (ml_fd_is_open(fd) && read(fd->number, &byte, 1) == 1)
            return byte;
        error = ml_fd_wait(fd, ML_FD_READ, &readable, deadline);
    }
    return error;
}

static void read_one(struct c_task *self)
{
    struct fd_test *test = self->data;
    self->result = read_byte(&test->fd, ML_FOREVER);
}

static void read_with_deadline(struct c_task *self)
{
    struct fd_test *test = self->data;
    self->result = read_byte(&test->fd, in_ms(3));
}

static void await_reader(struct fd_test *test)
{
    struct ml_task *reader = &test->tasks[0].task;
    while (test->fd.sides[ML_FD_READ].waiter != reader || reader->state != ML_TASK_WAITING)
        assert_int_equal(ml_yield(&test->hub), 0);
}

static void write_one(struct c_task *self)
{
    struct fd_test *test = self->data;
    await_reader(test);
    assert_int_equal(write(test->other, "x", 1), 1);
}

static void test_a_reader_waits_for_its_byte(void **state)
{
    (void)state;
    struct fd_test test;
    open_test(&test);
    run_two(&test, read_one, write_one);
    assert_int_equal(test.tasks[0].result, 'x');
    assert_null(test.fd.sides[ML_FD_READ].waiter);
    close_test(&test);
}

static void test_a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct fd_test test;
    open_test(&test);
    spawn(&test.hub, &test.tasks[0], read_with_deadline, &test);
    assert_int_equal(run_all(&test.hub), 0);
    assert_int_equal(test.tasks[0].result, -ETIMEDOUT);
    close_test(&test);
}

/* Runs while the first task waits. */
static void wait_as_second(struct c_task *self)
{
    struct fd_test *test = self->data;
    await_reader(test);
    self->result = ml_fd_wait(&test->fd, ML_FD_READ, &readable, ML_FOREVER);
    assert_int_equal(write(test->other, "y", 1), 1);
}

static void test_a_second_waiter_is_refused_and_the_first_unharmed(void **state)
{
    (void)state;
    struct fd_test test;
    open_test(&test);
    run_two(&test, read_one, wait_as_second);
    assert_int_equal(test.tasks[0].result, 'y');
    assert_int_equal(test.tasks[1].result, -EBUSY);
    close_test(&test);
}

static void fill_and_wait_to_write(struct c_task *self)
{
    struct fd_test *test = self->data;
    char block[4096] = {0};
    int error = 0;
    size_t sent = 0;
    while (error == 0 && sent < 1024 * 1024) {
        ssize_t count = write(test->fd.number, block, sizeof block);
        if (count > 0)
            sent += (size_t)count;
        else
            error = ml_fd_wait(&test->fd, ML_FD_WRITE, &readable, ML_FOREVER);
    }
    self->result = error;
}

static void drain_then_write(struct c_task *self)
{
    struct fd_test *test = self->data;
    char block[4096];
    size_t got = 0;
    await_reader(test);
    while (got < 1024 * 1024) {
        ssize_t count = read(test->other, block, sizeof block);
        if (count > 0)
            got += (size_t)count;
        assert_int_equal(ml_yield(&test->hub), 0);
    }
    assert_int_equal(write(test->other, "z", 1), 1);
}

static void test_a_reader_and_a_writer_wait_at_once(void **state)
{
    (void)state;
    struct fd_test test;
    open_test(&test);
    spawn(&test.hub, &test.tasks[0], read_one, &test);
    spawn(&test.hub, &test.tasks[1], fill_and_wait_to_write, &test);
    spawn(&test.hub, &test.tasks[2], drain_then_write, &test);
    assert_int_equal(run_all(&test.hub), 0);
    assert_int_equal(test.tasks[0].result, 'z');
    assert_int_equal(test.tasks[1].result, 0);
    close_test(&test);
}

static void close_under_reader(struct c_task *self)
{
    struct fd_test *test = self->data;
    await_reader(test);
    ml_fd_close(&test->fd);
    ml_fd_close(&test->fd);
}

static void test_close_wakes_the_waiter_and_is_idempotent(void **state)
{
    (void)state;
    struct fd_test test;
    open_test(&test);
    run_two(&test, read_one, close_under_reader);
    assert_int_equal(test.tasks[0].result, -ML_ECLOSED);
    spawn(&test.hub, &test.tasks[0], read_one, &test);
    assert_int_equal(run_all(&test.hub), 0);
    assert_int_equal(test.tasks[0].result, -ML_ECLOSED);
    close_test(&test);
}

/* Closes the descriptor under its reader and opens another with the same number, with a byte in it,
 * before the reader runs. */
static void replace_under_reader(struct c_task *self)
{
    struct fd_test *test = self->data;
    await_reader(test);
    int number = test->fd.number;
    ml_fd_close(&test->fd);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(ends[0], number);
    struct ml_fd *again = &test->again;
    ml_fd_init(again, &test->hub);
    ml_fd_open(again, ends[0]);
    assert_int_equal(read_byte(again, in_ms(5)), -ETIMEDOUT);
    assert_int_equal(write(ends[1], "n", 1), 1);
    self->result = read_byte(again, ML_FOREVER);
    ml_fd_close(again);
    close(ends[1]);
}

static void test_a_number_used_again_at_once_wakes_nobody_by_mistake(void **state)
{
    (void)state;
    struct fd_test test;
    open_test(&test);
    run_two(&test, read_one, replace_under_reader);
    assert_int_equal(test.tasks[0].result, -ML_ECLOSED);
    assert_int_equal(test.tasks[1].result, 'n');
    close_test(&test);
}

static void cancel_reader(struct c_task *self)
{
    struct fd_test *test = self->data;
    await_reader(test);
    ml_task_wake(test->fd.sides[ML_FD_READ].waiter, ML_WAKE_CANCEL);
}

static void test_a_wait_cut_short_leaves_room_for_the_next(void **state)
{
    (void)state;
    struct fd_test test;
    open_test(&test);
    run_two(&test, read_one, cancel_reader);
    assert_int_equal(test.tasks[0].result, -ECANCELED);
    assert_null(test.fd.sides[ML_FD_READ].waiter);
    assert_int_equal(write(test.other, "k", 1), 1);
    spawn(&test.hub, &test.tasks[0], read_one, &test);
    assert_int_equal(run_all(&test.hub), 0);
    assert_int_equal(test.tasks[0].result, 'k');
    close_test(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_waits_for_its_byte),
        cmocka_unit_test(test_a_wait_ends_at_its_deadline),
        cmocka_unit_test(test_a_second_waiter_is_refused_and_the_first_unharmed),
        cmocka_unit_test(test_a_reader_and_a_writer_wait_at_once),
        cmocka_unit_test(test_close_wakes_the_waiter_and_is_idempotent),
        cmocka_unit_test(test_a_number_used_again_at_once_wakes_nobody_by_mistake),
        cmocka_unit_test(test_a_wait_cut_short_leaves_room_for_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
