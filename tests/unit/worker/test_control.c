/* The control channel: messages with descriptors, peers that read nothing, peers that are gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct channel {
    struct ml_control a, b;
    struct ml_control_message message;
};

static int open_channel(void **state)
{
    struct channel *channel = calloc(1, sizeof *channel);
    int fds[2];
    assert_int_equal(ml_control_pair(fds), 0);
    ml_control_open(&channel->a, fds[0]);
    ml_control_open(&channel->b, fds[1]);
    *state = channel;
    return 0;
}

static int close_channel(void **state)
{
    struct channel *channel = *state;
    ml_control_close(&channel->a);
    ml_control_close(&channel->b);
    free(channel);
    return 0;
}

static int send_text(struct ml_control *control, uint64_t request, const char *text, int fd)
{
    struct ml_control_head head = {.type = ML_CONTROL_STORE, .request = request};
    return ml_control_send(control, &head, text, strlen(text), &fd, fd >= 0);
}

static void test_a_message_arrives_with_its_number_its_payload_and_its_descriptor(void **state)
{
    struct channel *c = *state;
    int pipes[2];
    char byte = 0;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(send_text(&c->a, 7, "hello", pipes[0]), 0);
    close(pipes[0]);
    assert_int_equal(ml_control_receive(&c->b, &c->message), 1);
    assert_int_equal(c->message.head.type, ML_CONTROL_STORE);
    assert_int_equal(c->message.head.request, 7);
    assert_int_equal(c->message.size, 5);
    assert_string_equal(c->message.payload, "hello");
    int fd = ml_control_take_fd(&c->message, 0);
    assert_int_equal(ml_control_take_fd(&c->message, 1), -1);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    ml_control_release(&c->message);
    close(fd);
    close(pipes[1]);
}

static void test_descriptors_that_are_not_taken_are_closed(void **state)
{
    struct channel *c = *state;
    int pipes[2];
    char byte;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(send_text(&c->a, 0, "", pipes[1]), 0);
    close(pipes[1]);
    assert_int_equal(ml_control_receive(&c->b, &c->message), 1);
    assert_int_equal(c->message.fd_count, 1);
    ml_control_release(&c->message);
    assert_int_equal(read(pipes[0], &byte, 1), 0); /* the end: no descriptor is left */
    close(pipes[0]);
}

static void test_what_a_slow_peer_does_not_take_is_kept_in_order_with_its_descriptors(void **state)
{
    struct channel *c = *state;
    char text[8192];
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    unsigned sent = 0, got = 0;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (; c->a.waiting < 100; sent++)
        assert_int_equal(send_text(&c->a, sent + 1, text, fd), 0);
    close(fd);
    while (got < sent) {
        int result = ml_control_receive(&c->b, &c->message);
        if (result == -EAGAIN) {
            assert_int_equal(ml_control_flush(&c->a), 0);
            continue;
        }
        assert_int_equal(result, 1);
        assert_int_equal(c->message.head.request, ++got);
        assert_int_equal(c->message.size, sizeof text - 1);
        assert_int_equal(c->message.fd_count, 1);
        ml_control_release(&c->message);
    }
    assert_int_equal(c->a.waiting, 0);
}

static void test_a_peer_that_reads_nothing_has_a_limited_number_of_messages_waiting(void **state)
{
    struct channel *c = *state;
    int error = 0;
    while (error == 0)
        error = send_text(&c->a, 1, "x", -1);
    assert_int_equal(error, -ENOBUFS);
    assert_int_equal(c->a.waiting, ML_CONTROL_OUTBOX);
}

static void test_the_end_of_the_peer_is_seen_by_both_calls(void **state)
{
    struct channel *c = *state;
    assert_int_equal(ml_control_receive(&c->b, &c->message), -EAGAIN);
    ml_control_close(&c->a);
    ml_control_close(&c->a); /* harmless */
    assert_int_equal(ml_control_receive(&c->b, &c->message), 0);
    assert_int_equal(send_text(&c->b, 1, "x", -1), -EPIPE);
    assert_int_equal(send_text(&c->a, 1, "x", -1), -EPIPE);
}

/* The last words of a worker were lost if it had not read all: its metrics, what it had served. */
static void test_the_last_messages_of_a_peer_arrive_that_has_not_read_all(void **state)
{
    struct channel *c = *state;
    assert_int_equal(send_text(&c->b, 1, "unread", -1), 0);
    assert_int_equal(send_text(&c->a, 2, "my", -1), 0);
    assert_int_equal(send_text(&c->a, 3, "end", -1), 0);
    ml_control_close(&c->a);
    for (uint64_t number = 2; number <= 3; number++) {
        assert_int_equal(ml_control_receive(&c->b, &c->message), 1);
        assert_int_equal(c->message.head.request, number);
    }
    assert_int_equal(ml_control_receive(&c->b, &c->message), 0);
}

static void test_what_is_no_message_of_this_version_is_refused(void **state)
{
    struct channel *c = *state;
    struct ml_control_head head = {.version = ML_CONTROL_VERSION + 1, .type = ML_CONTROL_READY};
    static char large[ML_CONTROL_PAYLOAD + 64];
    assert_int_equal(send(c->a.fd, "x", 1, 0), 1);
    assert_int_equal(ml_control_receive(&c->b, &c->message), -EPROTO);
    assert_int_equal(send(c->a.fd, &head, sizeof head, 0), sizeof head);
    assert_int_equal(ml_control_receive(&c->b, &c->message), -EPROTO);
    large[0] = ML_CONTROL_VERSION;
    assert_int_equal(send(c->a.fd, large, sizeof large, 0), sizeof large);
    assert_int_equal(ml_control_receive(&c->b, &c->message), -EPROTO);
}

static void test_the_largest_payload_arrives_and_a_larger_one_is_not_sent(void **state)
{
    struct channel *c = *state;
    static const char payload[ML_CONTROL_PAYLOAD + 1];
    struct ml_control_head head = {.type = ML_CONTROL_STATUS, .is_reply = true};
    assert_int_equal(ml_control_send(&c->a, &head, payload, ML_CONTROL_PAYLOAD + 1, NULL, 0),
                     -EMSGSIZE);
    assert_int_equal(ml_control_send(&c->a, &head, payload, ML_CONTROL_PAYLOAD, NULL, 0), 0);
    assert_int_equal(ml_control_receive(&c->b, &c->message), 1);
    assert_int_equal(c->message.size, ML_CONTROL_PAYLOAD);
    assert_true(c->message.head.is_reply);
}

static void test_types_have_names(void **state)
{
    (void)state;
    assert_string_equal(ml_control_type_name(ML_CONTROL_HELLO), "HELLO");
    assert_string_equal(ml_control_type_name(ML_CONTROL_TYPE_COUNT), "?");
}

#define ON_CHANNEL(test) cmocka_unit_test_setup_teardown(test, open_channel, close_channel)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_CHANNEL(test_a_message_arrives_with_its_number_its_payload_and_its_descriptor),
        ON_CHANNEL(test_descriptors_that_are_not_taken_are_closed),
        ON_CHANNEL(test_what_a_slow_peer_does_not_take_is_kept_in_order_with_its_descriptors),
        ON_CHANNEL(test_a_peer_that_reads_nothing_has_a_limited_number_of_messages_waiting),
        ON_CHANNEL(test_the_end_of_the_peer_is_seen_by_both_calls),
        ON_CHANNEL(test_the_last_messages_of_a_peer_arrive_that_has_not_read_all),
        ON_CHANNEL(test_what_is_no_message_of_this_version_is_refused),
        ON_CHANNEL(test_the_largest_payload_arrives_and_a_larger_one_is_not_sent),
        cmocka_unit_test(test_types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
