/* Child processes of C libraries in tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "hub/loop/life.h"
#include "hub/loop/run.h"
#include "hub/switch/switch.h"
#include "interpose/libc_call.h"
#include "interpose/libc_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

/* A runtime on a thread of its own, whose task runs a shell until it is told to end. */
struct runner {
    pthread_t thread;
    struct ml_pool pool;
    struct ml_hub hub;
    struct c_task task;
    int begun[2], go[2]; /* pipes from and to the shell */
};

static void run_shell(struct c_task *self)
{
    struct runner *runner = self->data;
    char command[64];
    snprintf(command, sizeof command, "echo >/dev/fd/%d; read line </dev/fd/%d; exit 3",
             runner->begun[1], runner->go[0]);
    self->result = ml_co_system(runner->hub.libc_calls, command);
}

static void *run_runner(void *data)
{
    struct runner *runner = data;
    ml_pool_init(&runner->pool);
    if (ml_hub_init(&runner->hub, &runner->pool, 0, 256 * 1024) != 0)
        return NULL;
    runner->hub.hooks.body = run_c_task;
    struct ml_libc_calls *libc_calls = ml_libc_calls_open(&runner->hub);
    runner->hub.libc_calls = libc_calls;
    spawn(&runner->hub, &runner->task, run_shell, runner);
    run_all(&runner->hub);
    runner->hub.libc_calls = NULL;
    ml_libc_calls_close(libc_calls);
    ml_hub_release(&runner->hub);
    ml_pool_release(&runner->pool);
    return NULL;
}

static void begin(struct runner *runner)
{
    char byte;
    assert_int_equal(pipe(runner->begun), 0);
    assert_int_equal(pipe(runner->go), 0);
    assert_int_equal(pthread_create(&runner->thread, NULL, run_runner, runner), 0);
    assert_int_equal(read(runner->begun[0], &byte, 1), 1);
}

static void end(struct runner *runner)
{
    assert_int_equal(write(runner->go[1], "\n", 1), 1);
    pthread_join(runner->thread, NULL);
    assert_int_equal(runner->task.result, 3 << 8);
    for (int i = 0; i < 2; i++) {
        close(runner->begun[i]);
        close(runner->go[i]);
    }
}

static void on_interrupt(int number)
{
    (void)number;
}

static void (*handler_of(int number))(int)
{
    struct sigaction action;
    sigaction(number, NULL, &action);
    return action.sa_handler;
}

/*
 * The shells of all runtimes shared one count, while which SIGINT was ignored: a program of many
 * tasks did not heed Ctrl-C, and in a host it stayed ignored once the task of a shell had been
 * dropped.
 */
static void test_a_shell_leaves_what_keys_do_to_the_process(void **state)
{
    static struct runner runner;
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    (void)state;
    sigaction(SIGINT, &action, &before);
    begin(&runner);
    assert_true(handler_of(SIGINT) == on_interrupt);
    assert_true(handler_of(SIGQUIT) == SIG_DFL);
    end(&runner);
    assert_true(handler_of(SIGINT) == on_interrupt);
    sigaction(SIGINT, &before, NULL);
}

static void run_endless_shell(struct c_task *self)
{
    self->result = ml_co_system(hub_of(self)->libc_calls, self->data);
}

/* The end of the runtime ended the task and left the shell. The shell holds the pipe open as long
 * as it lives. */
static void test_the_shell_of_a_task_that_is_dropped_is_killed(void **state)
{
    struct ml_hub hub;
    struct c_task task;
    int begun[2];
    char command[64], byte;
    (void)state;
    assert_int_equal(pipe(begun), 0);
    snprintf(command, sizeof command, "echo >/dev/fd/%d; exec sleep 1000", begun[1]);
    open_hub(&hub);
    struct ml_libc_calls *libc_calls = ml_libc_calls_open(&hub);
    hub.libc_calls = libc_calls;
    spawn(&hub, &task, run_endless_shell, command);
    assert_int_equal(ml_hub_run(&hub, ML_UNTIL_ALL_ENDED, ml_clock_now() + ML_MILLISECOND),
                     -ETIMEDOUT);
    assert_int_equal(read(begun[0], &byte, 1), 1);
    hub.libc_calls = NULL;
    ml_task_drop(&hub, &task.task);
    ml_libc_calls_close(libc_calls);
    close_hub(&hub);
    close(begun[1]);
    assert_int_equal(read(begun[0], &byte, 1), 0);
    close(begun[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_shell_leaves_what_keys_do_to_the_process),
        cmocka_unit_test(test_the_shell_of_a_task_that_is_dropped_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
