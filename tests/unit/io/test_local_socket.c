/*
 * Descriptors from a peer that is no moonlet: several in one message, more than are kept, unasked
 * for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "base/error.h"
#include "base/hostile.h"
#include "io/life.h"
#include "io/local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct local_test {
    struct ml_hub hub;
    struct ml_io io;
    struct ml_stream stream;
    int other; /* the far end, blocking */
    struct c_task task;
};

static struct local_test test;

static void run(void (*body)(struct c_task *self))
{
    int ends[2];
    open_hub(&test.hub);
    ml_io_init(&test.io, &test.hub);
    ml_stream_init(&test.stream, &test.io);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    assert_int_equal(ml_local_socket_open(&test.stream, ends[0]), 0);
    test.other = ends[1];
    spawn(&test.hub, &test.task, body, NULL);
    assert_int_equal(run_all(&test.hub), 0);
    ml_stream_close(&test.stream);
    close(test.other);
    ml_io_release(&test.io);
    close_hub(&test.hub);
}

/* The far end sends `count` write ends of pipes with the text; the read ends stay here. */
static void pass_pipes(const char *text, int *readers, int count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(64 * sizeof(int))];
    } control = {0};
    int writers[64];
    for (int i = 0; i < count; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
        readers[i] = ends[0];
        writers[i] = ends[1];
    }
    size_t size = (size_t)count * sizeof(int);
    struct iovec piece = {.iov_base = (void *)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(size)};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(&control.header), writers, size);
    assert_int_equal(sendmsg(test.other, &message, 0), strlen(text));
    for (int i = 0; i < count; i++)
        close(writers[i]);
}

/* Whether somebody still has the write end of the pipe open. */
static bool is_open_elsewhere(int reader)
{
    char byte;
    return read(reader, &byte, 1) < 0 && errno == EAGAIN;
}

static void read_text(const char *text)
{
    struct ml_piece_of_input piece;
    assert_int_equal(ml_stream_read_exactly(&test.stream, strlen(text), false, &piece), 0);
    assert_memory_equal(piece.data, text, strlen(text));
    ml_stream_consume(&test.stream, piece.taken);
}

static void take_and_write(int reader, char byte)
{
    char got = 0;
    assert_int_equal(ml_local_socket_await_descriptor(&test.stream, in_ms(20000)), 0);
    int fd = ml_local_socket_take_descriptor(&test.stream);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fd, &byte, 1), 1);
    assert_int_equal(read(reader, &got, 1), 1);
    assert_int_equal(got, byte);
    close(fd);
}

static void take_three(struct c_task *self)
{
    int readers[3];
    (void)self;
    assert_int_equal(write(test.other, "before", 6), 6);
    pass_pipes("together", readers, 3);
    assert_int_equal(write(test.other, "after", 5), 5);
    for (int i = 0; i < 3; i++)
        take_and_write(readers[i], (char)('a' + i));
    read_text("beforetogetherafter");
    for (int i = 0; i < 3; i++) {
        assert_false(is_open_elsewhere(readers[i]));
        close(readers[i]);
    }
}

static void test_several_in_one_message_come_in_order_and_no_byte_is_touched(void **state)
{
    (void)state;
    run(take_three);
}

static void ignore_many(struct c_task *self)
{
    enum { MANY = 40 };
    int readers[MANY];
    int kept = 0;
    (void)self;
    pass_pipes("x", readers, MANY);
    read_text("x");
    for (int i = 0; i < MANY; i++)
        kept += is_open_elsewhere(readers[i]);
    assert_int_equal(kept, ML_DESCRIPTORS_MAX);
    ml_stream_close(&test.stream);
    for (int i = 0; i < MANY; i++) {
        assert_false(is_open_elsewhere(readers[i]));
        close(readers[i]);
    }
}

static void test_more_than_are_kept_are_closed_and_the_rest_with_the_stream(void **state)
{
    (void)state;
    run(ignore_many);
}

static void read_on(struct c_task *self)
{
    int reader;
    (void)self;
    pass_pipes("with", &reader, 1);
    assert_int_equal(write(test.other, "behind", 6), 6);
    read_text("with");
    assert_true(is_open_elsewhere(reader));
    read_text("behind");
    /* Where a read takes one byte at a time, what came with a descriptor has no end that could be
     * seen. */
    assert_int_equal(is_open_elsewhere(reader), ML_IS_HOSTILE);
    close(reader);
}

static void test_one_that_is_read_past_is_closed(void **state)
{
    (void)state;
    run(read_on);
}

static void send_to_far_end(struct c_task *self)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char text[16];
    int got;
    size_t sent;
    (void)self;
    assert_int_equal(ml_local_socket_send_descriptor(&test.stream, test.other, "data", 4, &sent),
                     0);
    assert_int_equal(sent, 4);
    struct iovec piece = {.iov_base = text, .iov_len = sizeof text};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    assert_int_equal(recvmsg(test.other, &message, 0), 4);
    assert_memory_equal(text, "data", 4);
    assert_int_equal(control.header.cmsg_type, SCM_RIGHTS);
    memcpy(&got, CMSG_DATA(&control.header), sizeof got);
    assert_int_equal(write(got, "back", 4), 4);
    read_text("back");
    close(got);
}

static void test_one_sent_with_data_is_what_every_program_understands(void **state)
{
    (void)state;
    run(send_to_far_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_in_one_message_come_in_order_and_no_byte_is_touched),
        cmocka_unit_test(test_more_than_are_kept_are_closed_and_the_rest_with_the_stream),
        cmocka_unit_test(test_one_that_is_read_past_is_closed),
        cmocka_unit_test(test_one_sent_with_data_is_what_every_program_understands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
