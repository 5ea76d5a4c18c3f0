/* Child processes of C libraries in tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "interpose/foreign.h"

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
    self->result = ml_co_system(runner->hub.foreign, command);
}

static void *run_runner(void *data)
{
    struct runner *runner = data;
    ml_pool_init(&runner->pool);
    if (ml_hub_init(&runner->hub, &runner->pool, 0, 256 * 1024) != 0)
        return NULL;
    runner->hub.body = run_c_task;
    struct ml_foreign *foreign = ml_foreign_open(&runner->hub);
    runner->hub.foreign = foreign;
    spawn(&runner->hub, &runner->task, run_shell, runner);
    run_all(&runner->hub);
    runner->hub.foreign = NULL;
    ml_foreign_close(foreign);
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
 * What a signal does belongs to the process, and each runtime kept a count of its own: the second took "ignored" for what
 * had been before, and left it so.
 */
static void test_keys_are_heeded_again_when_the_last_shell_of_any_runtime_has_ended(void **state)
{
    static struct runner first, second;
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    (void)state;
    sigaction(SIGINT, &action, &before);
    begin(&first);
    begin(&second);
    assert_true(handler_of(SIGINT) == SIG_IGN);
    end(&first);
    assert_true(handler_of(SIGINT) == SIG_IGN);
    end(&second);
    assert_true(handler_of(SIGINT) == on_interrupt);
    assert_true(handler_of(SIGQUIT) == SIG_DFL);
    sigaction(SIGINT, &before, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_heeded_again_when_the_last_shell_of_any_runtime_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
