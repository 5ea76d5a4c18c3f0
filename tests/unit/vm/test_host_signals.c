/*
 * Signals in hosts: a runtime touches no action unasked, each runtime of the process gets what its
 * scripts listen to, and the host's own handlers go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"

#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- actions ---- */

enum { RESTORER = 0x04000000 }; /* SA_RESTORER: of the C library */

static void note_actions(struct sigaction actions[NSIG])
{
    memset(actions, 0, NSIG * sizeof *actions);
    for (int number = 1; number < NSIG; number++)
        sigaction(number, NULL, &actions[number]);
}

static void assert_same_actions(const struct sigaction before[NSIG])
{
    struct sigaction now[NSIG];
    note_actions(now);
    for (int number = 1; number < NSIG; number++) {
        const struct sigaction *was = &before[number], *is = &now[number];
        assert_ptr_equal(was->sa_handler, is->sa_handler);
        assert_int_equal(was->sa_flags & ~RESTORER, is->sa_flags & ~RESTORER);
        for (int other = 1; other < NSIG; other++)
            assert_int_equal(sigismember(&was->sa_mask, other), sigismember(&is->sa_mask, other));
    }
}

static atomic_int calls;

static void on_host_signal(int number)
{
    (void)number;
    calls++;
}

static void test_a_runtime_installs_no_handler_unasked(void **state)
{
    (void)state;
    struct sigaction before[NSIG];
    note_actions(before);
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_same_actions(before);
    assert_int_equal(run_string(m, "require 'moonlet.signal' require('moonlet.task').sleep(0.001)"),
                     0);
    assert_same_actions(before);
    moonlet_close(m);
    assert_same_actions(before);
}

static void test_all_actions_are_as_before_when_the_runtime_is_closed(void **state)
{
    (void)state;
    struct sigaction before[NSIG], host = {.sa_handler = on_host_signal, .sa_flags = SA_NODEFER};
    sigaddset(&host.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &host, NULL);
    signal(SIGHUP, SIG_IGN);
    note_actions(before);
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(
        run_string(m,
                   "kept = require 'moonlet.signal'.open('USR1', 'HUP', 'TERM', 'CHLD', 'RTMIN')"),
        0);
    assert_true(moonlet_is_signal_open(SIGTERM));
    assert_false(moonlet_is_signal_open(SIGUSR2));
    assert_false(moonlet_is_signal_open(0));
    assert_false(moonlet_is_signal_open(1000));
    moonlet_close(m);
    assert_false(moonlet_is_signal_open(SIGTERM));
    assert_same_actions(before);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
}

static void test_the_handler_of_the_host_is_called_as_well(void **state)
{
    (void)state;
    signal(SIGUSR1, on_host_signal);
    calls = 0;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    start_string(
        m, "local s <close> = require 'moonlet.signal'.open 'USR1' assert(s:wait() == 'USR1')");
    assert_int_equal(moonlet_step(m, 0, PATIENCE), 1);
    raise(SIGUSR1);
    assert_int_equal(calls, 1);
    assert_int_equal(moonlet_step(m, PATIENCE, PATIENCE), 0);
    assert_int_equal(moonlet_exit_status(m), 0);
    raise(SIGUSR1);
    assert_int_equal(calls, 2);
    moonlet_close(m);
    signal(SIGUSR1, SIG_DFL);
}

/* ---- several runtimes ---- */

enum { THREADS = 3 };

static atomic_int ready;

static int note_ready(lua_State *L)
{
    (void)L;
    ready++;
    return 0;
}

static void *run_listener(void *argument)
{
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    lua_register(moonlet_lua(m), "ready", note_ready);
    *(int *)argument =
        run_string(m, "local s <close> = require 'moonlet.signal'.open('USR1', 'RTMIN+1')\n"
                      "ready()\n"
                      "for i = 1, 3 do\n"
                      "  local name, value = s:wait(60)\n"
                      "  assert(name == 'RTMIN+1' and value == i, name)\n"
                      "end\n"
                      "ready()\n"
                      "assert(s:wait(60) == 'USR1')");
    moonlet_close(m);
    return NULL;
}

static void wait_until_ready(int count)
{
    for (double end = now() + PATIENCE; ready < count && now() < end;)
        usleep(1000);
    assert_int_equal(ready, count);
}

/* One of the threads gets the signal from the kernel, whichever it may be. */
static void test_each_runtime_of_the_process_gets_a_signal(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int results[THREADS];
    ready = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_listener, &results[i]), 0);
    wait_until_ready(THREADS);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}), 0);
    wait_until_ready(2 * THREADS);
    pthread_kill(threads[1], SIGUSR1);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(results[i], 0);
    }
    assert_false(moonlet_is_signal_open(SIGUSR1));
}

/* ---- forks ---- */

static void test_a_forked_child_has_the_actions_from_before(void **state)
{
    (void)state;
    signal(SIGUSR1, on_host_signal);
    calls = 0;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    start_string(m, "local s <close> = require 'moonlet.signal'.open('USR1', 'TERM')\n"
                    "assert(s:wait(60) == 'USR1') assert(not s:wait(0))");
    assert_int_equal(moonlet_step(m, 0, PATIENCE), 1);
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction now;
        raise(SIGUSR1);
        sigaction(SIGUSR1, NULL, &now);
        if (calls != 1 || now.sa_handler != on_host_signal || moonlet_is_signal_open(SIGTERM) ||
            moonlet_close(m) != 0)
            _exit(1);
        raise(SIGTERM);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(calls, 0);
    assert_int_equal(moonlet_step(m, 0, PATIENCE), 1);
    raise(SIGUSR1);
    while (moonlet_step(m, PATIENCE, PATIENCE) == 1)
        ;
    assert_int_equal(moonlet_exit_status(m), 0);
    moonlet_close(m);
    signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_runtime_installs_no_handler_unasked),
        cmocka_unit_test(test_all_actions_are_as_before_when_the_runtime_is_closed),
        cmocka_unit_test(test_the_handler_of_the_host_is_called_as_well),
        cmocka_unit_test(test_each_runtime_of_the_process_gets_a_signal),
        cmocka_unit_test(test_a_forked_child_has_the_actions_from_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
