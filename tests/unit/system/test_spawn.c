/* How a process starts: the step that fails, descriptors, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "system/process/spawn.h"
#include "system/signal/start_state.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const no_environment[] = {NULL};

static struct ml_spawn shell(const char *const arguments[])
{
    static const char *const paths[] = {"/bin/sh", NULL};
    return (struct ml_spawn){.paths = paths,
                             .arguments = arguments,
                             .environment = no_environment,
                             .files = {ML_SPAWN_INHERIT, ML_SPAWN_INHERIT, ML_SPAWN_INHERIT},
                             .terminal = -1,
                             .limits = ML_SPAWN_NO_LIMITS};
}

static int status_of(const struct ml_spawned *child)
{
    int status = 0;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    if (child->pidfd >= 0)
        close(child->pidfd);
    return status;
}

static int run(const char *text)
{
    const char *const arguments[] = {"sh", "-c", text, NULL};
    struct ml_spawn what = shell(arguments);
    struct ml_spawned child;
    assert_int_equal(ml_spawn(&what, &child), 0);
    assert_true(child.pidfd >= 0);
    return status_of(&child);
}

static void test_a_program_runs_and_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(run("exit 7")), 7);
    assert_int_equal(WTERMSIG(run("kill -KILL $$")), SIGKILL);
}

/* Descriptor 3 of the child is the one that is named, whatever its number is here; no other one is
 * left. */
static void test_one_further_descriptor_can_be_passed_on(void **state)
{
    static const char text[] = "echo told >&3; for fd in /proc/$$/fd/*; do f=${fd##*/};"
                               "[ $f -le 3 ] || [ ! -e $fd ] || exit 9; done";
    const char *const arguments[] = {"sh", "-c", text, NULL};
    struct ml_spawn what = shell(arguments);
    struct ml_spawned child;
    char told[8] = "";
    int pipes[2];
    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    what.passed = pipes[1];
    assert_int_equal(ml_spawn(&what, &child), 0);
    assert_int_equal(status_of(&child), 0);
    assert_int_equal(read(pipes[0], told, sizeof told), 5);
    assert_memory_equal(told, "told\n", 5);
    close(pipes[0]);
    close(pipes[1]);
}

static void test_a_start_that_fails_says_at_which_step_and_leaves_no_child(void **state)
{
    (void)state;
    const char *const arguments[] = {"sh", "-c", "exit 0", NULL};
    static const char *const nowhere[] = {"/no/such", "/no/where", NULL};
    static const char *const second[] = {"/no/such", "/etc/passwd", "/no/where", NULL};
    struct ml_spawned child;
    struct ml_spawn what = shell(arguments);
    what.paths = nowhere;
    assert_int_equal(ml_spawn(&what, &child), -ENOENT);
    assert_int_equal(child.step, ML_SPAWN_PROGRAM);
    what.paths = second;
    assert_int_equal(ml_spawn(&what, &child), -EACCES);
    assert_int_equal(child.path, 1);
    what = shell(arguments);
    what.directory = "/no/such";
    assert_int_equal(ml_spawn(&what, &child), -ENOENT);
    assert_int_equal(child.step, ML_SPAWN_DIRECTORY);
    what = shell(arguments);
    what.files[1] = 1000000;
    assert_int_equal(ml_spawn(&what, &child), -EBADF);
    assert_int_equal(child.step, ML_SPAWN_FILES);
    what = shell(arguments);
    what.terminal = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(ml_spawn(&what, &child), -ENOTTY);
    assert_int_equal(child.step, ML_SPAWN_TERMINAL);
    close(what.terminal);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_descriptors_that_stand_in_each_others_place_are_put_right(void **state)
{
    (void)state;
    const char *const arguments[] = {"sh", "-c", "read a; echo $a; read b <&2; echo $b", NULL};
    struct ml_spawn what = shell(arguments);
    struct ml_spawned child;
    int in[2], out[2], other[2], kept[3];
    char text[16] = "";
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(other, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], "in\n", 3), 3);
    assert_int_equal(write(other[1], "two\n", 4), 4);
    for (int i = 0; i < 3; i++)
        kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    dup3(out[1], 0, O_CLOEXEC); /* the output is number 0, the input 2, the third 1 */
    dup3(in[0], 2, O_CLOEXEC);
    dup3(other[0], 1, O_CLOEXEC);
    what.files[0] = 2, what.files[1] = 0, what.files[2] = 1;
    int error = ml_spawn(&what, &child);
    for (int i = 0; i < 3; i++) {
        dup2(kept[i], i);
        close(kept[i]);
    }
    assert_int_equal(error, 0);
    assert_int_equal(status_of(&child), 0);
    assert_int_equal(read(out[0], text, sizeof text), 7);
    assert_string_equal(text, "in\ntwo\n");
    for (int i = 0; i < 2; i++)
        close(in[i]), close(out[i]), close(other[i]);
}

static void test_a_handler_and_a_mask_of_this_process_do_not_reach_the_program(void **state)
{
    (void)state;
    sigset_t usr1, before;
    void (*piped)(int) = signal(SIGPIPE, SIG_IGN);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, &before);
    assert_int_equal(WTERMSIG(run("kill -PIPE $$; exit 1")), SIGPIPE);
    assert_int_equal(WTERMSIG(run("kill -USR1 $$; exit 1")), SIGUSR1);
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, &before, &now);
    assert_true(sigismember(&now, SIGUSR1));
    signal(SIGPIPE, piped);
}

static void test_only_a_plain_start_passes_other_descriptors_on(void **state)
{
    (void)state;
    struct ml_spawn what = ML_SPAWN_AS_LIBC;
    int fd = fcntl(STDERR_FILENO, F_DUPFD, 9);
    char text[64];
    snprintf(text, sizeof text, "test -e /proc/self/fd/%d", fd);
    assert_int_equal(WEXITSTATUS(run(text)), 1);
    struct ml_spawned child = {.pid = ml_spawn_shell(what, text), .pidfd = -1};
    assert_int_equal(status_of(&child), 0);
    close(fd);
}

static void *spawn_many(void *data)
{
    for (int i = 0; i < 50; i++)
        if (WEXITSTATUS(run("exit 5")) != 5)
            return data;
    return NULL;
}

static void test_several_threads_start_processes_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    void *result;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spawn_many, threads), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &result);
        assert_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program_runs_and_is_waited_for),
        cmocka_unit_test(test_one_further_descriptor_can_be_passed_on),
        cmocka_unit_test(test_a_start_that_fails_says_at_which_step_and_leaves_no_child),
        cmocka_unit_test(test_descriptors_that_stand_in_each_others_place_are_put_right),
        cmocka_unit_test(test_a_handler_and_a_mask_of_this_process_do_not_reach_the_program),
        cmocka_unit_test(test_only_a_plain_start_passes_other_descriptors_on),
        cmocka_unit_test(test_several_threads_start_processes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
