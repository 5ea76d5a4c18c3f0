/* moonlet_inspect_listen(): a host has its runtime inspected. */
#include "moonlet.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "child_process.h"

/* Asks /state at a Unix socket; runs the runtime meanwhile. Whether the program has answered. */
static bool answers(struct moonlet *m, const char *path)
{
    static const char request[] = "GET /state HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer[4096] = "";
    size_t length = 0;
    ssize_t size = 1;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
    while (size > 0 && length < sizeof answer - 1) {
        moonlet_step(m, 0.001, 1);
        size = recv(fd, answer + length, sizeof answer - 1 - length, MSG_DONTWAIT);
        if (size > 0)
            length += (size_t)size;
        else if (size < 0 && errno == EAGAIN)
            size = 1;
    }
    close(fd);
    return strstr(answer, "\"answers\":true") != NULL;
}

static void test_a_host_that_steps_is_inspected_at_a_unix_socket(void **state)
{
    (void)state;
    char directory[] = "/tmp/moonlet-inspect-XXXXXX", path[64], address[80];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    snprintf(address, sizeof address, "unix:%s", path);
    struct moonlet *m = moonlet_create(NULL);
    assert_int_equal(moonlet_inspect_listen(m, address), 0);
    bool has_answered = false;
    for (int i = 0; i < 100 && !has_answered; i++)
        has_answered = answers(m, path);
    assert_true(has_answered);
    moonlet_close(m);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(directory), 0);
}

/* In a fork: the copy has no thread of the inspector. It is not inspected anew, and ends without
 * the socket, which is the parent's. */
static int use_copy(void *runtime)
{
    struct moonlet *m = runtime;
    alarm(60);
    bool is_refused = moonlet_inspect_listen(m, "127.0.0.1:0") == -ECHILD;
    return is_refused && moonlet_close(m) == 0 ? 7 : 1;
}

static void test_a_fork_leaves_the_inspector_to_its_parent(void **state)
{
    (void)state;
    char directory[] = "/tmp/moonlet-inspect-XXXXXX", path[64], address[80];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    snprintf(address, sizeof address, "unix:%s", path);
    struct moonlet *m = moonlet_create(NULL);
    assert_int_equal(moonlet_inspect_listen(m, address), 0);
    assert_true(exited_with(run_in_child(use_copy, m), 7));
    assert_int_equal(access(path, F_OK), 0);
    bool has_answered = false;
    for (int i = 0; i < 100 && !has_answered; i++)
        has_answered = answers(m, path);
    assert_true(has_answered);
    assert_int_equal(moonlet_close(m), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void test_addresses_that_are_none_are_refused(void **state)
{
    (void)state;
    struct moonlet *m = moonlet_create(NULL);
    assert_int_equal(moonlet_inspect_listen(m, "nothing"), -EINVAL);
    assert_int_equal(moonlet_inspect_listen(m, "0.0.0.0:0"), -EACCES);
    assert_int_equal(moonlet_inspect_listen(m, "unix:/nowhere/at/all"), -ENOENT);
    moonlet_close(m);
}

static void test_a_runtime_without_network_is_not_inspected(void **state)
{
    (void)state;
    struct moonlet_options options = {.without = MOONLET_NET};
    struct moonlet *m = moonlet_create(&options);
    assert_int_equal(moonlet_inspect_listen(m, NULL), -EPERM);
    moonlet_close(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_host_that_steps_is_inspected_at_a_unix_socket),
        cmocka_unit_test(test_a_fork_leaves_the_inspector_to_its_parent),
        cmocka_unit_test(test_addresses_that_are_none_are_refused),
        cmocka_unit_test(test_a_runtime_without_network_is_not_inspected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
