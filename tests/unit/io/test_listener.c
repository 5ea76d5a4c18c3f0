/*
 * Accepting without Lua: errors of a single connection, no descriptor left, turns under a flood.
 * accept4() is the one defined here: a test says what it returns.
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
#include "io/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct listener_test {
    struct ml_hub hub;
    struct ml_io io;
    struct ml_listener listener;
    struct ml_stream stream;
    struct c_task tasks[2];
    const int *errors; /* what accept4() fails with before it works, up to a 0 */
    int calls;         /* of accept4() */
    int turns;         /* of somebody else */
    ml_time deadline;
};

static struct listener_test test;

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    test.calls++;
    if (*test.errors != 0) {
        errno = *test.errors++;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, address, size, flags);
}

static void open_test(const int *errors)
{
    static const struct ml_socket_options options = {.backlog = 200};
    struct ml_address address;
    test = (struct listener_test){.errors = errors, .deadline = ML_FOREVER};
    open_hub(&test.hub);
    ml_io_init(&test.io, &test.hub);
    ml_stream_init(&test.stream, &test.io);
    ml_listener_init(&test.listener, &test.io);
    assert_true(ml_address_parse(&address, "127.0.0.1", 0));
    assert_int_equal(ml_listener_open(&test.listener, &address, &options), 0);
}

static void close_test(void)
{
    ml_stream_close(&test.stream);
    ml_listener_close(&test.listener);
    ml_io_release(&test.io);
    close_hub(&test.hub);
}

static int connect_client(void)
{
    struct ml_address address;
    assert_int_equal(ml_address_of_socket(&address, test.listener.fd.number), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, &address.any, address.size), 0);
    return fd;
}

static void run_accept(struct c_task *self)
{
    self->result = ml_listener_accept(&test.listener, &test.stream, test.deadline);
}

static int accept_one(void)
{
    spawn(&test.hub, &test.tasks[0], run_accept, NULL);
    assert_int_equal(run_all(&test.hub), 0);
    return test.tasks[0].result;
}

static void connections_that_ended_in_the_backlog_are_passed_over(void **state)
{
    static const int errors[] = {ECONNABORTED, EPROTO, EINTR, ECONNABORTED, 0};
    (void)state;
    open_test(errors);
    int client = connect_client();
    assert_int_equal(accept_one(), 0);
    assert_int_equal(test.calls, 5);
    assert_true(ml_stream_is_open(&test.stream));
    close(client);
    close_test();
}

static void without_a_descriptor_accept_pauses_and_tries_again(void **state)
{
    static const int errors[] = {EMFILE, ENFILE, 0};
    (void)state;
    open_test(errors);
    int client = connect_client();
    ml_time start = ml_clock_now();
    assert_int_equal(accept_one(), 0);
    assert_true(ml_clock_now() - start >= 90 * ML_MILLISECOND);
    assert_int_equal(test.calls, 3);
    close(client);
    close_test();
}

static void the_pause_ends_at_the_deadline(void **state)
{
    static const int errors[] = {EMFILE, EMFILE, EMFILE, EMFILE, EMFILE, EMFILE, 0};
    (void)state;
    open_test(errors);
    test.deadline = in_ms(70);
    assert_int_equal(accept_one(), -ETIMEDOUT);
    assert_true(test.calls <= 3);
    close_test();
}

static void other_errors_are_returned(void **state)
{
    static const int errors[] = {EPERM, 0};
    (void)state;
    open_test(errors);
    assert_int_equal(accept_one(), -EPERM);
    assert_int_equal(test.calls, 1);
    close_test();
}

/* ---- a flood ---- */

enum { FLOOD = 160, MOST_BETWEEN_TURNS = 40 };

static void accept_all(struct c_task *self)
{
    self->result = 0;
    for (int i = 0; i < FLOOD && self->result == 0; i++) {
        self->result = ml_listener_accept(&test.listener, &test.stream, test.deadline);
        ml_stream_close(&test.stream);
    }
    self->number = -1; /* it has ended */
}

static void take_turns(struct c_task *self)
{
    self->result = 0;
    for (test.turns = 0; test.tasks[0].number != -1 && self->result == 0; test.turns++)
        self->result = ml_yield(&test.hub);
}

/* Accepts what waits already, one after the other; test.turns: of somebody else meanwhile. */
static void run_flood(ml_time deadline)
{
    static const int errors[] = {0};
    int clients[FLOOD];
    open_test(errors);
    test.deadline = deadline;
    for (int i = 0; i < FLOOD; i++)
        clients[i] = connect_client();
    test.tasks[0].number = 0;
    spawn(&test.hub, &test.tasks[0], accept_all, NULL);
    spawn(&test.hub, &test.tasks[1], take_turns, NULL);
    assert_int_equal(run_all(&test.hub), 0);
    assert_int_equal(test.tasks[0].result, 0);
    for (int i = 0; i < FLOOD; i++)
        close(clients[i]);
    close_test();
}

static void a_flood_of_connections_lets_others_run(void **state)
{
    (void)state;
    run_flood(ML_FOREVER);
    assert_true(test.turns >= FLOOD / MOST_BETWEEN_TURNS);
}

static void a_flood_of_connections_that_ended_lets_others_run(void **state)
{
    static int errors[FLOOD + 1];
    (void)state;
    for (int i = 0; i < FLOOD; i++)
        errors[i] = ECONNABORTED;
    open_test(errors);
    int client = connect_client();
    test.tasks[0].number = 0;
    spawn(&test.hub, &test.tasks[1], take_turns, NULL);
    spawn(&test.hub, &test.tasks[0], run_accept, NULL);
    while (test.tasks[0].result == 1)
        ml_hub_run(&test.hub, ML_UNTIL_ALL_ENDED, in_ms(1));
    assert_int_equal(test.tasks[0].result, 0);
    test.tasks[0].number = -1;
    assert_true(test.turns >= FLOOD / MOST_BETWEEN_TURNS);
    assert_int_equal(run_all(&test.hub), 0);
    close(client);
    close_test();
}

static void a_try_does_not_let_others_run(void **state)
{
    (void)state;
    run_flood(ML_NEVER_WAIT);
    assert_int_equal(test.turns, 0);
}

/* ---- adopting ---- */

static void only_what_listens_is_adopted(void **state)
{
    static const int errors[] = {0};
    static const struct ml_socket_options options;
    struct ml_listener other;
    int ends[2];
    (void)state;
    open_test(errors);
    ml_listener_init(&other, &test.io);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ml_listener_adopt(&other, ends[0], &options), -ENOTSOCK);
    int client = connect_client();
    assert_int_equal(ml_listener_adopt(&other, client, &options), -EINVAL);
    int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(ml_listener_adopt(&other, datagrams, &options), -EINVAL);
    assert_false(ml_fd_is_open(&other.fd));
    assert_int_equal(ml_listener_adopt(&other, dup(test.listener.fd.number), &options), 0);
    assert_true(ml_fd_is_open(&other.fd));
    ml_listener_close(&other);
    close(ends[0]);
    close(ends[1]);
    close(client);
    close(datagrams);
    close_test();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_that_ended_in_the_backlog_are_passed_over),
        cmocka_unit_test(without_a_descriptor_accept_pauses_and_tries_again),
        cmocka_unit_test(the_pause_ends_at_the_deadline),
        cmocka_unit_test(other_errors_are_returned),
        cmocka_unit_test(a_flood_of_connections_lets_others_run),
        cmocka_unit_test(a_flood_of_connections_that_ended_lets_others_run),
        cmocka_unit_test(a_try_does_not_let_others_run),
        cmocka_unit_test(only_what_listens_is_adopted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
